/* SPDX-License-Identifier: MIT */
#include "util/cancel.h"

#include "util/clock.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* The flag is set before the descriptor is read, and the descriptor is stored before the flag is
 * read: whichever comes second writes to the eventfd. */
static atomic_bool requested;
static atomic_int event_fd = -1;
static atomic_int interrupts;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local int shield;

static void wake(void)
{
	int fd = atomic_load(&event_fd);
	const uint64_t one = 1;

	if (fd >= 0) {
		ssize_t n = write(fd, &one, sizeof(one)); /* full means readable already */
		(void)n;
	}
}

static void make_fd(void)
{
	atomic_store(&event_fd, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (atomic_load(&requested)) {
		wake();
	}
}

void cancel_now(void)
{
	int saved = errno;

	atomic_store(&requested, true);
	wake();
	errno = saved;
}

static void handler(int sig)
{
	/* The third Ctrl-C is from somebody who does not want to wait for the clean-up. */
	if (sig == SIGINT && atomic_fetch_add(&interrupts, 1) >= 2) {
		_exit(130);
	}
	cancel_now();
}

void cancel_install(void)
{
	struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_RESTART};
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

	pthread_once(&once, make_fd);
	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct sigaction old;
		/* Under nohup SIGHUP stays ignored. */
		if (sigaction(signals[i], NULL, &old) == 0 && signals[i] == SIGHUP &&
			old.sa_handler == SIG_IGN) {
			continue;
		}
		sigaction(signals[i], &sa, NULL);
	}
	sigaction(SIGPIPE, &ignore, NULL);
}

bool cancel_requested(void)
{
	return shield == 0 && atomic_load(&requested);
}

int cancel_fd(void)
{
	if (shield > 0) {
		return -1;
	}
	pthread_once(&once, make_fd);
	return atomic_load(&event_fd);
}

int cancel_check(struct error *err)
{
	return cancel_requested() ? error_set(err, ERROR_INTERRUPTED, "interrupted") : 0;
}

int cancel_poll(int fd, short events, int64_t deadline, short *revents, struct error *err)
{
	struct pollfd fds[] = {{.fd = fd, .events = events}, {.fd = cancel_fd(), .events = POLLIN}};
	int64_t left = deadline - clock_mono_ms();
	int n = poll(fds, 2, left < 0 ? 0 : (int)left);

	if (cancel_check(err) < 0) {
		return -1;
	}
	*revents = n > 0 ? fds[0].revents : 0;
	return n != 0;
}

void cancel_shield_begin(void)
{
	shield++;
}

void cancel_shield_end(void)
{
	assert(shield > 0);
	shield--;
}

bool cancel_shielded(void)
{
	return shield > 0;
}

void cancel_reset(void)
{
	uint64_t drained;
	int fd = atomic_load(&event_fd);

	atomic_store(&requested, false);
	atomic_store(&interrupts, 0);
	if (fd >= 0) {
		ssize_t n = read(fd, &drained, sizeof(drained));
		(void)n;
	}
}
