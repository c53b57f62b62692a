/* SPDX-License-Identifier: MIT */
/* The SFTP client against a real server, and its decoder against bad packets. */
#include "sshd.h"

#include "ssh/sftp.h"

#include "../../../src/ssh/sftp_wire.h"

#include <fcntl.h>

static struct sshd server;
static struct ssh_session *session;
static struct ssh_sftp *client;
static char base[128];
static struct error why;

static int start(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (!sshd_start(&server, NULL)) {
		return 0;
	}
	session = sshd_session(&server);
	client = ssh_sftp_open(session, &why);
	snprintf(base, sizeof(base), "%s/files", server.dir);
	return client != NULL && mkdir(base, 0755) == 0 ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	ssh_sftp_close(client);
	ssh_session_close(session);
	sshd_stop(&server);
	return 0;
}

#define NEED_SSHD()                                                                                \
	do {                                                                                       \
		if (session == NULL) {                                                             \
			print_message("no %s here\n", SSHD);                                       \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

/* base/name; a few may be in use at once. */
static const char *at(const char *name)
{
	static char paths[8][256];
	static int next;
	char *p = paths[next++ % 8];

	snprintf(p, sizeof(paths[0]), "%s/%s", base, name);
	return p;
}

static void run(struct sftp_batch *b)
{
	why = (struct error){0};
	if (sftp_run(b, 10000, &why) < 0) {
		fail_msg("%s", why.text);
	}
}

static void run_well(struct sftp_batch *b)
{
	run(b);
	if (sftp_check(b, &why) < 0) {
		fail_msg("%s", why.text);
	}
}

/* All is well but what was expected not to be. */
static void run_well_but(struct sftp_batch *b, struct sftp_op *expected)
{
	expected->status = SFTP_OK;
	run_well(b);
}

static void assert_file(const char *path, const char *text, mode_t mode)
{
	CLEANUP_STR struct str s = STR_INIT(STR_MAX_FILE);
	struct stat st;

	assert_int_equal(fs_read(path, &s, &why), 0);
	assert_string_equal(str_c(&s), text);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, mode);
}

static void writes_and_reads_in_one_batch(void **state)
{
	(void)state;
	NEED_SSHD();
	struct sftp_batch *b = sftp_batch_new(client);
	struct sftp_op *home = sftp_realpath(b, ".");
	sftp_mkdirs(b, at("a/b/c"), 0750);
	sftp_write(b, at("a/b/c/file"), "hello\n", 6, 0640);
	sftp_barrier(b);
	struct sftp_op *text = sftp_read(b, at("a/b/c/file"), 100);
	struct sftp_op *stat = sftp_stat(b, at("a/b/c/file"));
	struct sftp_op *list = sftp_list(b, at("a/b/c"), 10);
	run_well(b);
	assert_int_equal(home->data.p[0], '/');
	assert_string_equal(str_c(&text->data), "hello\n");
	assert_int_equal(stat->attrs.size, 6);
	assert_int_equal(list->entries.len, 1); /* no temporary file is left */
	assert_string_equal(list->entries.p[0].name, "file");
	assert_file(at("a/b/c/file"), "hello\n", 0640);
	sftp_batch_free(b);
}

static void write_replaces(void **state)
{
	(void)state;
	NEED_SSHD();
	struct sftp_batch *b = sftp_batch_new(client);
	sftp_write(b, at("replaced"), "one", 3, 0666);
	run_well(b);
	sftp_write(b, at("replaced"), "second", 6, 0600);
	run_well(b);
	assert_file(at("replaced"), "second", 0600);
	sftp_batch_free(b);
}

static void append_tells_the_size(void **state)
{
	(void)state;
	NEED_SSHD();
	struct sftp_batch *b = sftp_batch_new(client);
	struct sftp_op *one = sftp_append(b, at("log"), "line 1\n", 7, 0600);
	run_well(b);
	struct sftp_op *two = sftp_append(b, at("log"), "line 2\n", 7, 0600);
	run_well(b);
	assert_int_equal(one->attrs.size, 7);
	assert_int_equal(two->attrs.size, 14);
	assert_file(at("log"), "line 1\nline 2\n", 0600);
	sftp_batch_free(b);
}

static void big_file_and_its_limit(void **state)
{
	enum { SIZE = 5000003 };

	(void)state;
	NEED_SSHD();
	char *big = malloc(SIZE);
	for (size_t i = 0; i < SIZE; i++) {
		big[i] = (char)(i * 7 + i / 1000);
	}
	struct sftp_batch *b = sftp_batch_new(client);
	sftp_write(b, at("big"), big, SIZE, 0600);
	sftp_barrier(b);
	struct sftp_op *whole = sftp_read(b, at("big"), SIZE);
	struct sftp_op *little = sftp_read(b, at("big"), SIZE - 1);
	struct sftp_op *proc = sftp_read(b, "/proc/self/status", 65536);
	run(b);
	assert_int_equal(whole->status, SFTP_OK);
	assert_int_equal(whole->data.len, SIZE);
	assert_memory_equal(whole->data.p, big, SIZE);
	assert_int_equal(little->status, SFTP_TOO_BIG);
	assert_int_equal(proc->status, SFTP_OK); /* says that its size is 0 */
	assert_true(proc->data.len > 100);
	sftp_batch_free(b);
	free(big);
}

static void failures_are_typed(void **state)
{
	(void)state;
	NEED_SSHD();
	struct sftp_batch *b = sftp_batch_new(client);
	struct sftp_op *noent = sftp_read(b, at("absent"), 10);
	struct sftp_op *nodir = sftp_write(b, at("absent/x"), "x", 1, 0600);
	struct sftp_op *made = sftp_mkdir(b, at("lock"), 0700);
	struct sftp_op *exist = sftp_mkdir(b, at("lock"), 0700);
	struct sftp_op *folder = sftp_read(b, at("lock"), 10);
	struct sftp_op *orphan = sftp_mkdir(b, at("absent/lock"), 0700);
	struct sftp_op *full = sftp_write(b, at("replaced2"), "x", 1, 0600);
	struct sftp_op *list = sftp_list(b, at("absent"), 10);
	run(b);
	assert_int_equal(noent->status, SFTP_NOENT);
	assert_int_equal(noent->error.kind, ERROR_REMOTE);
	assert_non_null(strstr(noent->error.text, "absent"));
	assert_int_equal(nodir->status, SFTP_NOENT);
	assert_int_equal(made->status, SFTP_OK);
	assert_int_equal(exist->status, SFTP_EXIST);
	assert_int_equal(folder->status, SFTP_NOTDIR);
	assert_int_equal(orphan->status, SFTP_NOENT);
	assert_int_equal(full->status, SFTP_OK);
	assert_int_equal(list->status, SFTP_NOENT);
	assert_int_equal(sftp_check(b, &why), -1);
	sftp_batch_free(b);
}

static void full_disk_is_told(void **state)
{
	char dir[160];

	(void)state;
	NEED_SSHD();
	snprintf(dir, sizeof(dir), "%s/full", server.dir);
	mkdir(dir, 0700);
	const char *mount[] = {"mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", dir, NULL};
	if (getuid() != 0 || run_program(mount) != 0) {
		print_message("cannot mount a small tmpfs\n");
		skip();
	}
	char *data = calloc(1, 200000);
	char path[200];
	snprintf(path, sizeof(path), "%s/file", dir);
	struct sftp_batch *b = sftp_batch_new(client);
	struct sftp_op *small = sftp_write(b, path, "old", 3, 0600);
	run_well(b);
	struct sftp_op *full = sftp_write(b, path, data, 200000, 0600);
	struct sftp_op *log = sftp_append(b, path, data, 200000, 0600);
	run(b);
	assert_int_equal(small->status, SFTP_OK);
	assert_int_equal(full->status, SFTP_NOSPACE);
	assert_int_equal(log->status, SFTP_NOSPACE);
	struct sftp_op *list = sftp_list(b, dir, 10);
	run(b);
	assert_int_equal(list->entries.len, 1); /* the temporary file was taken back */
	sftp_batch_free(b);
	free(data);
	const char *umount[] = {"umount", "-l", dir, NULL};
	run_program(umount);
}

static void tree_is_removed(void **state)
{
	char name[64];

	(void)state;
	NEED_SSHD();
	struct sftp_batch *b = sftp_batch_new(client);
	sftp_mkdirs(b, at("tree/x/y"), 0755);
	sftp_mkdirs(b, at("tree/z"), 0755);
	sftp_mkdirs(b, at("kept"), 0755);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "tree/x/file%d", i);
		sftp_write(b, at(name), "x", 1, 0600);
	}
	sftp_write(b, at("kept/file"), "x", 1, 0600);
	run_well(b);
	assert_int_equal(symlink(at("kept"), at("tree/z/link")), 0);
	struct sftp_op *list = sftp_list(b, at("tree/x"), 1000);
	struct sftp_op *few = sftp_list(b, at("tree/x"), 100);
	sftp_barrier(b);
	struct sftp_op *bounded = sftp_rmtree(b, at("tree"), 20);
	run(b);
	assert_int_equal(list->entries.len, 301);
	assert_int_equal(few->status, SFTP_TOO_BIG);
	assert_int_equal(bounded->status, SFTP_TOO_BIG);
	struct sftp_batch *again = sftp_batch_new(client);
	sftp_rmtree(again, at("tree"), 10000);
	sftp_rmtree(again, at("kept/file"), 10);
	sftp_rmtree(again, at("never"), 10);
	run_well(again);
	assert_false(fs_exists(at("tree")));
	assert_true(fs_exists(at("kept")));
	assert_false(fs_exists(at("kept/file")));
	sftp_batch_free(again);
	sftp_batch_free(b);
}

static void small_operations(void **state)
{
	struct stat st;

	(void)state;
	NEED_SSHD();
	struct sftp_batch *b = sftp_batch_new(client);
	sftp_write(b, at("from"), "x", 1, 0600);
	sftp_write(b, at("to"), "y", 1, 0600);
	sftp_barrier(b);
	sftp_rename(b, at("from"), at("to"));
	sftp_chmod(b, at("to"), 0751);
	sftp_utime(b, at("to"), 1000000000);
	sftp_mkdir(b, at("gone"), 0700);
	sftp_rmdir(b, at("gone"));
	sftp_write(b, at("gone-file"), "x", 1, 0600);
	sftp_barrier(b);
	sftp_remove(b, at("gone-file"));
	run_well(b);
	assert_int_equal(stat(at("to"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0751);
	assert_int_equal(st.st_mtime, 1000000000);
	assert_false(fs_exists(at("from")));
	assert_false(fs_exists(at("gone")));
	assert_false(fs_exists(at("gone-file")));
	sftp_batch_free(b);
}

/* In order without waiting for answers, and whatever became of the one before. */
static void what_follows_is_sent_behind(void **state)
{
	(void)state;
	NEED_SSHD();
	struct sftp_batch *b = sftp_batch_new(client);
	sftp_mkdirs(b, at("made"), 0700);
	sftp_append(b, at("made/text"), "whole", 5, 0600);
	sftp_follow(b);
	struct sftp_op *renamed = sftp_rename(b, at("made"), at("renamed"));
	sftp_follow(b);
	struct sftp_op *seen = sftp_stat(b, at("renamed/text"));
	run_well(b);
	assert_int_equal(renamed->status, SFTP_OK);
	assert_int_equal(seen->attrs.size, 5);
	struct sftp_op *refused = sftp_append(b, at("nowhere/text"), "x", 1, 0600);
	sftp_follow(b);
	renamed = sftp_rename(b, at("renamed"), at("again"));
	run(b);
	assert_int_equal(refused->status, SFTP_NOENT);
	assert_int_equal(renamed->status, SFTP_OK);
	assert_true(fs_exists(at("again/text")));
	sftp_batch_free(b);
}

static void a_held_file_is_appended_to_at_once(void **state)
{
	(void)state;
	NEED_SSHD();
	struct sftp_batch *b = sftp_batch_new(client);
	struct sftp_op *none = sftp_hold(b, at("none-held"));
	run(b);
	assert_int_equal(none->status, SFTP_NOENT);
	sftp_append(b, at("held"), "one\n", 4, 0600);
	run_well_but(b, none);
	sftp_hold(b, at("held"));
	run_well_but(b, none);
	struct sftp_op *two = sftp_append(b, at("held"), "two\n", 4, 0600);
	run_well_but(b, none);
	assert_int_equal(two->attrs.size, 8);
	/* Replaced behind its back, then gone. */
	sftp_write(b, at("held"), "new\n", 4, 0600);
	run_well_but(b, none);
	sftp_append(b, at("held"), "three\n", 6, 0600);
	run_well_but(b, none);
	assert_file(at("held"), "new\nthree\n", 0600);
	sftp_hold(b, at("held"));
	run_well_but(b, none);
	assert_int_equal(unlink(at("held")), 0);
	sftp_append(b, at("held"), "four\n", 5, 0600);
	run_well_but(b, none);
	assert_file(at("held"), "four\n", 0600);
	sftp_batch_free(b);
}

static void first_batch_may_rename(void **state)
{
	(void)state;
	NEED_SSHD();
	struct ssh_sftp *f = ssh_sftp_open(session, &why);
	assert_non_null(f);
	assert_int_equal(fs_write_atomic(at("one"), "1", 1, 0600, &why), 0);
	assert_int_equal(fs_write_atomic(at("two"), "2", 1, 0600, &why), 0);
	struct sftp_batch *b = sftp_batch_new(f);
	sftp_rename(b, at("one"), at("two"));
	run_well(b);
	assert_file(at("two"), "1", 0600);
	sftp_batch_free(b);
	ssh_sftp_close(f);
}

static void lost_connection_skips(void **state)
{
	(void)state;
	NEED_SSHD();
	struct sshd other;
	assert_true(sshd_start(&other, NULL));
	struct ssh_session *s = sshd_session(&other);
	struct ssh_sftp *f = ssh_sftp_open(s, &why);
	struct sftp_batch *b = sftp_batch_new(f);
	struct sftp_op *one = sftp_realpath(b, ".");
	run_well(b);
	sshd_kill(&other);
	struct sftp_op *op = sftp_stat(b, ".");
	assert_int_equal(sftp_run(b, 10000, &why), -1);
	assert_int_equal(why.kind, ERROR_CONNECT);
	assert_int_equal(one->status, SFTP_OK);
	assert_int_equal(op->status, SFTP_SKIPPED);
	sftp_batch_free(b);
	ssh_sftp_close(f);
	ssh_session_close(s);
	sshd_stop(&other);
}

static void no_subsystem_is_told(void **state)
{
	(void)state;
	NEED_SSHD();
	struct sshd other;
	/* The first one counts: a program that ends at once. */
	assert_true(sshd_start(&other, NULL));
	struct ssh_session *s = sshd_session(&other);
	int fd = ssh_subsystem(s, "nothing-of-that-name", &why);
	assert_true(fd >= 0);
	struct ssh_sftp *f = ssh_sftp_new(fd);
	struct sftp_batch *b = sftp_batch_new(f);
	sftp_stat(b, ".");
	assert_int_equal(sftp_run(b, 10000, &why), -1);
	assert_non_null(strstr(why.text, "Subsystem"));
	sftp_batch_free(b);
	ssh_sftp_close(f);
	ssh_session_close(s);
	sshd_stop(&other);
}

/* A hostile server, named as one: answers each packet with the given bytes. */
static void hostile(const void *bytes, size_t len)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(fd_write_all(pair[1], bytes, len), 0);
	struct ssh_sftp *f = ssh_sftp_new(pair[0]);
	struct sftp_batch *b = sftp_batch_new(f);
	sftp_read(b, "x", 100);
	sftp_list(b, "y", 100);
	sftp_realpath(b, ".");
	assert_int_equal(sftp_run(b, 100, &why), -1);
	sftp_batch_free(b);
	ssh_sftp_close(f);
	close(pair[1]);
}

static void hostile_answers_are_refused(void **state)
{
	static const char huge[] = "\xff\xff\xff\xff\x65";
	static const char empty[] = "\0\0\0\0";
	static const char unknown[] = "\0\0\0\x05\x42\0\0\0\x01";
	static const char long_handle[] = "\0\0\0\x09\x66\0\0\0\x01\x7f\xff\xff\xff";
	static const char names[] = "\0\0\0\x09\x68\0\0\0\x04\xff\xff\xff\xff";
	static const char attrs[] = "\0\0\0\x0d\x69\0\0\0\x02\x80\0\0\0\xff\xff\xff\xff";

	(void)state;
	hostile(huge, sizeof(huge) - 1);
	hostile(empty, sizeof(empty) - 1);
	hostile(unknown, sizeof(unknown) - 1);
	hostile(long_handle, sizeof(long_handle) - 1);
	hostile(names, sizeof(names) - 1);
	hostile(attrs, sizeof(attrs) - 1);
}

static void decoder_survives_every_cut(void **state)
{
	static const uint8_t packet[] = {FXP_NAME, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 'a', 'b', 0,
		0, 0, 1, 'l', 0, 0, 0, 0x0f, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0,
		0x81, 0xa4, 0, 0, 0, 3, 0, 0, 0, 4};
	struct sftp_reply r;
	struct sftp_entry e;

	(void)state;
	for (size_t n = 0; n <= sizeof(packet); n++) {
		uint8_t *copy = malloc(n > 0 ? n : 1); /* exact, for the sanitizer */
		memcpy(copy, packet, n);
		if (sftp_decode(copy, n, &r) == 0 && sftp_decode_entry(&r.rest, &e) == 0) {
			assert_int_equal(n, sizeof(packet));
			assert_string_equal(e.name, "ab");
			assert_int_equal(e.attrs.size, 5);
			assert_int_equal(e.attrs.mode, 0100644);
			free(e.name);
		}
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_and_reads_in_one_batch),
		cmocka_unit_test(write_replaces),
		cmocka_unit_test(append_tells_the_size),
		cmocka_unit_test(big_file_and_its_limit),
		cmocka_unit_test(failures_are_typed),
		cmocka_unit_test(full_disk_is_told),
		cmocka_unit_test(tree_is_removed),
		cmocka_unit_test(small_operations),
		cmocka_unit_test(what_follows_is_sent_behind),
		cmocka_unit_test(a_held_file_is_appended_to_at_once),
		cmocka_unit_test(first_batch_may_rename),
		cmocka_unit_test(lost_connection_skips),
		cmocka_unit_test(no_subsystem_is_told),
		cmocka_unit_test(hostile_answers_are_refused),
		cmocka_unit_test(decoder_survives_every_cut),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
