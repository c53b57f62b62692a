/* SPDX-License-Identifier: MIT */
/* What an SFTP server answers: a whole conversation, and an agent's answer. */
#include "ssh/sftp.h"

#include "../../src/ssh/keys.h"

#include "util/fs.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKET_MAX ((size_t)100 << 10) /* what a socket takes without a reader */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void converse(const uint8_t *data, size_t size)
{
	struct error err = {0};
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
		fd_write_all(pair[1], data, size) < 0) {
		abort();
	}
	shutdown(pair[1], SHUT_WR);
	struct ssh_sftp *f = ssh_sftp_new(pair[0]);
	struct sftp_batch *b = sftp_batch_new(f);
	(void)sftp_read(b, "r", 1000);          /* 1, 2 */
	(void)sftp_list(b, "l", 10);            /* 3 */
	(void)sftp_write(b, "w", "x", 1, 0600); /* 4 */
	(void)sftp_append(b, "a", "x", 1, 0600);
	(void)sftp_rmtree(b, "t", 10);
	(void)sftp_mkdirs(b, "m/n", 0700);
	(void)sftp_mkdir(b, "k", 0700);
	(void)sftp_realpath(b, ".");
	if (sftp_run(b, 1000, &err) == 0) {
		(void)!sftp_check(b, &err);
	}
	sftp_batch_free(b);
	ssh_sftp_close(f);
	close(pair[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ssh_agent agent = {.fd = -1};

	if (size > SOCKET_MAX) {
		return 0;
	}
	converse(data, size);
	(void)!ssh_agent_parse(data, size, &agent);
	ssh_agent_close(&agent);
	return 0;
}
