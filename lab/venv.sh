#!/usr/bin/env bash
# Make the virtual environment $1 from the hashed lock file $2: once, whole or not at all, safe under two runs at once.
set -euo pipefail
venv=$1 lock=$2
mkdir -p "$(dirname "$venv")"
exec 9>"$venv.lock"
flock 9
[ -e "$venv/.complete" ] && exit 0
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
  echo "==> installing python3-venv"
  sudo=$([ "$(id -u)" = 0 ] || echo sudo)
  $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
fi
echo "==> making the Python environment"
rm -rf "$venv"
trap 'rm -rf "$venv"' ERR INT TERM
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement "$lock"
# The tree itself, editable: its build backend is in the lock, so nothing unpinned is fetched.
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
touch "$venv/.complete"
