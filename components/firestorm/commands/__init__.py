"""The commands of `firestorm`, each imported when it is called."""
