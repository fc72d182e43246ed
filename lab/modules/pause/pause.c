/*
 * The sandbox container's process: holds the pod's namespaces open, and as the first process of a shared PID namespace
 * reaps what is orphaned there. It ends at SIGINT or SIGTERM.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

int main(void)
{
	sigset_t wanted;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &wanted, NULL) != 0) {
		perror("pause: sigprocmask");
		return EXIT_FAILURE;
	}
	for (;;) {
		int number = sigwaitinfo(&wanted, NULL);

		if (number == SIGINT || number == SIGTERM)
			return EXIT_SUCCESS;
		if (number == -1 && errno != EINTR) {
			perror("pause: sigwaitinfo");
			return EXIT_FAILURE;
		}
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}
