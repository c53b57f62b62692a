/* SPDX-License-Identifier: MIT */
#include "ssh/known_hosts.h"

#include "wire.h"

#include "util/digest.h"
#include "util/fs.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHA1_LEN 20
#define HASH_TAG "|1|"

/* A line in its parts; borrowed from the text. */
struct entry {
	bool revoked, authority;
	const char *hosts;
	size_t hosts_len;
	const char *key;
	size_t key_len;
};

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

static size_t word(const char **p, const char *end, const char **start)
{
	while (*p < end && blank(**p)) {
		(*p)++;
	}
	*start = *p;
	while (*p < end && !blank(**p)) {
		(*p)++;
	}
	return (size_t)(*p - *start);
}

static bool parse_line(const char *line, size_t len, struct entry *e)
{
	const char *end = line + len;
	const char *p = line;
	const char *type;
	const char *marker;

	*e = (struct entry){0};
	if (len > 0 && end[-1] == '\r') {
		end--;
	}
	e->hosts_len = word(&p, end, &e->hosts);
	if (e->hosts_len > 0 && e->hosts[0] == '@') {
		marker = e->hosts;
		size_t n = e->hosts_len;
		e->revoked = n == 8 && memcmp(marker, "@revoked", n) == 0;
		e->authority = n == 15 && memcmp(marker, "@cert-authority", n) == 0;
		if (!e->revoked && !e->authority) {
			return false;
		}
		e->hosts_len = word(&p, end, &e->hosts);
	}
	if (e->hosts_len == 0 || e->hosts[0] == '#') {
		return false;
	}
	size_t type_len = word(&p, end, &type);
	e->key_len = word(&p, end, &e->key);
	return type_len > 0 && e->key_len > 0;
}

/* fnmatch() without its sets: '*' and '?', without regard to case, in linear time. */
static bool glob(const char *pattern, size_t len, const char *text)
{
	const char *end = pattern + len;
	const char *star = NULL;
	const char *resume = NULL;

	while (*text != '\0') {
		if (pattern < end && *pattern == '*') {
			star = pattern++;
			resume = text;
		} else if (pattern < end &&
			   (*pattern == '?' || tolower((unsigned char)*pattern) ==
						       tolower((unsigned char)*text))) {
			pattern++;
			text++;
		} else if (star != NULL) {
			pattern = star + 1;
			text = ++resume;
		} else {
			return false;
		}
	}
	while (pattern < end && *pattern == '*') {
		pattern++;
	}
	return pattern == end;
}

/* HMAC-SHA1 of the host with the salt (sshd(8)). */
static bool hash_host(const uint8_t *salt, size_t salt_len, const char *host, uint8_t out[SHA1_LEN])
{
	unsigned len = SHA1_LEN;

	return HMAC(EVP_sha1(), salt, (int)salt_len, (const uint8_t *)host, strlen(host), out,
		       &len) != NULL;
}

static bool hashed_match(const char *text, size_t len, const char *host)
{
	const char *p = text + strlen(HASH_TAG);
	const char *bar = memchr(p, '|', len - strlen(HASH_TAG));
	uint8_t mac[SHA1_LEN];
	size_t salt_len = 0;
	size_t hash_len = 0;

	if (bar == NULL) {
		return false;
	}
	CLEANUP_FREE char *salt_text = xstrndup(p, (size_t)(bar - p));
	CLEANUP_FREE char *hash_text = xstrndup(bar + 1, (size_t)(text + len - bar - 1));
	CLEANUP_FREE unsigned char *salt = digest_unbase64(salt_text, &salt_len);
	CLEANUP_FREE unsigned char *hash = digest_unbase64(hash_text, &hash_len);
	return salt != NULL && hash != NULL && hash_len == SHA1_LEN &&
	       hash_host(salt, salt_len, host, mac) && memcmp(mac, hash, SHA1_LEN) == 0;
}

static bool host_matches(const struct entry *e, const char *host)
{
	const char *p = e->hosts;
	const char *end = p + e->hosts_len;
	bool found = false;

	if (e->hosts_len > strlen(HASH_TAG) && memcmp(p, HASH_TAG, strlen(HASH_TAG)) == 0) {
		return hashed_match(p, e->hosts_len, host);
	}
	while (p < end) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		size_t len = (size_t)((comma != NULL ? comma : end) - p);
		bool negated = len > 0 && *p == '!';
		if (glob(p + negated, len - negated, host)) {
			if (negated) {
				return false;
			}
			found = true;
		}
		p += len + 1;
	}
	return found;
}

static bool same_type(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	struct wire x = wire_reader(a, a_len);
	struct wire y = wire_reader(b, b_len);
	size_t m;
	size_t n;
	const uint8_t *p = wire_string(&x, &m);
	const uint8_t *q = wire_string(&y, &n);

	return !x.bad && !y.bad && m == n && memcmp(p, q, n) == 0;
}

static enum ssh_known judge(const struct entry *e, const void *key, size_t key_len)
{
	size_t len = 0;
	CLEANUP_FREE char *text = xstrndup(e->key, e->key_len);
	CLEANUP_FREE unsigned char *blob = digest_unbase64(text, &len);

	if (blob == NULL) {
		return SSH_KNOWN_UNKNOWN;
	}
	if (len == key_len && memcmp(blob, key, len) == 0) {
		return e->revoked ? SSH_KNOWN_REVOKED : SSH_KNOWN_MATCH;
	}
	if (e->revoked) {
		return SSH_KNOWN_UNKNOWN;
	}
	return same_type(blob, len, key, key_len) ? SSH_KNOWN_CHANGED : SSH_KNOWN_OTHER;
}

/* Calls `fn` for each line that names the host. */
static void each_line(const char *text, size_t len, const char *host,
	void (*fn)(void *ctx, const struct entry *e, int line), void *ctx)
{
	const char *p = text;
	const char *end = text + len;

	for (int line = 1; p < end; line++) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((newline != NULL ? newline : end) - p);
		struct entry e;
		if (parse_line(p, n, &e) && host_matches(&e, host)) {
			fn(ctx, &e, line);
		}
		p += n + 1;
	}
}

struct lookup {
	const void *key;
	size_t key_len;
	enum ssh_known best;
	int line;
	bool authority;
};

static void consider(void *ctx, const struct entry *e, int line)
{
	struct lookup *l = ctx;

	if (e->authority) {
		l->authority = true;
		return;
	}
	enum ssh_known known = judge(e, l->key, l->key_len);
	if (known > l->best) {
		l->best = known;
		l->line = line;
	}
}

enum ssh_known ssh_known_hosts_lookup(const char *text, size_t len, const char *host,
	const void *key, size_t key_len, int *line, bool *authority)
{
	struct lookup l = {.key = key, .key_len = key_len, .best = SSH_KNOWN_UNKNOWN};

	each_line(text, len, host, consider, &l);
	*line = l.line;
	*authority = *authority || l.authority;
	return l.best;
}

static void collect_type(void *ctx, const struct entry *e, int line)
{
	struct strvec *types = ctx;
	size_t len = 0;

	(void)line;
	if (e->authority || e->revoked) {
		return;
	}
	CLEANUP_FREE char *text = xstrndup(e->key, e->key_len);
	CLEANUP_FREE unsigned char *blob = digest_unbase64(text, &len);
	struct wire w = wire_reader(blob, blob != NULL ? len : 0);
	CLEANUP_FREE char *type = wire_text(&w);
	if (type != NULL && !strvec_has(types, type)) {
		strvec_push(types, type);
	}
}

/* The name under which a host is known: lower case, "[name]:port" but for port 22. */
static char *known_name(const struct ssh_target *t, bool with_port)
{
	char *name;

	if (t->host_key_alias != NULL) {
		name = xstrdup(t->host_key_alias);
	} else if (with_port && t->port != 22) {
		name = xasprintf("[%s]:%d", t->hostname, t->port);
	} else {
		name = xstrdup(t->hostname);
	}
	for (char *p = name; *p != '\0'; p++) {
		*p = (char)tolower((unsigned char)*p);
	}
	return name;
}

/* All files of the target, user's first. NULL behind the last. */
static const char *nth_file(const struct ssh_target *t, size_t i)
{
	if (i < t->known_hosts.len) {
		return t->known_hosts.p[i];
	}
	i -= t->known_hosts.len;
	return i < t->global_known_hosts.len ? t->global_known_hosts.p[i] : NULL;
}

void ssh_known_hosts_types(const struct ssh_target *target, struct strvec *types)
{
	CLEANUP_FREE char *name = known_name(target, true);
	const char *file;

	for (size_t i = 0; (file = nth_file(target, i)) != NULL; i++) {
		CLEANUP_STR struct str text = STR_INIT(STR_MAX_FILE);
		struct error ignored = {0};
		if (fs_read(file, &text, &ignored) == 0) {
			each_line(str_c(&text), text.len, name, collect_type, types);
		}
	}
}

static enum ssh_known look_everywhere(const struct ssh_target *t, const char *name, const void *key,
	size_t key_len, struct ssh_known_place *place)
{
	enum ssh_known best = SSH_KNOWN_UNKNOWN;
	const char *file;

	for (size_t i = 0; (file = nth_file(t, i)) != NULL; i++) {
		CLEANUP_STR struct str text = STR_INIT(STR_MAX_FILE);
		struct error ignored = {0};
		int line;
		if (fs_read(file, &text, &ignored) < 0) {
			continue;
		}
		enum ssh_known known = ssh_known_hosts_lookup(
			str_c(&text), text.len, name, key, key_len, &line, &place->authority);
		if (known > best) {
			best = known;
			free(place->file);
			place->file = xstrdup(file);
			place->line = line;
		}
	}
	return best;
}

char *ssh_fingerprint(const void *key, size_t key_len)
{
	uint8_t md[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (!EVP_Digest(key, key_len, md, &len, EVP_sha256(), NULL)) {
		return xstrdup("SHA256:?");
	}
	CLEANUP_FREE char *text = digest_base64(md, len, 0);
	text[strcspn(text, "=")] = '\0';
	return xasprintf("SHA256:%s", text);
}

static char *hashed_name(const char *name)
{
	uint8_t salt[SHA1_LEN];
	uint8_t mac[SHA1_LEN];

	if (RAND_bytes(salt, sizeof(salt)) != 1 || !hash_host(salt, sizeof(salt), name, mac)) {
		return xstrdup(name);
	}
	CLEANUP_FREE char *a = digest_base64(salt, sizeof(salt), 0);
	CLEANUP_FREE char *b = digest_base64(mac, sizeof(mac), 0);
	return xasprintf(HASH_TAG "%s|%s", a, b);
}

static bool ends_in_newline(int fd)
{
	char last = '\n';
	off_t size = lseek(fd, 0, SEEK_END);

	return size <= 0 || (pread(fd, &last, 1, size - 1) == 1 && last == '\n');
}

/* One write under a lock: other processes, and our other threads, append at the same time. */
static int append(const char *file, const char *line, struct error *err)
{
	CLEANUP_FREE char *dir = xstrdup(file);
	char *slash = strrchr(dir, '/');

	if (slash != NULL && slash != dir) {
		*slash = '\0';
		if (fs_mkdirs(dir, 0700, err) < 0) {
			return -1;
		}
	}
	CLEANUP_FD int fd = open(file, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		return error_sys(err, ERROR_CONNECT, errno, "record the host key in '%s'", file);
	}
	while (flock(fd, LOCK_EX) < 0 && errno == EINTR) {
	}
	CLEANUP_FREE char *text = xasprintf("%s%s\n", ends_in_newline(fd) ? "" : "\n", line);
	if (fd_write_all(fd, text, strlen(text)) < 0) {
		return error_sys(err, ERROR_CONNECT, errno, "record the host key in '%s'", file);
	}
	return 0;
}

static int record(const struct ssh_target *t, const char *name, const void *key, size_t key_len,
	struct error *err)
{
	struct wire w = wire_reader(key, key_len);
	CLEANUP_FREE char *type = wire_text(&w);
	CLEANUP_FREE char *blob = digest_base64(key, key_len, 0);
	CLEANUP_FREE char *shown = t->hash_known_hosts ? hashed_name(name) : xstrdup(name);

	if (type == NULL) {
		return error_set(err, ERROR_CONNECT, "the host key is malformed");
	}
	if (t->known_hosts.len == 0) {
		return 0; /* "UserKnownHostsFile none" */
	}
	CLEANUP_FREE char *line = xasprintf("%s %s %s", shown, type, blob);
	return append(t->known_hosts.p[0], line, err);
}

static int refuse(const struct ssh_target *t, enum ssh_known known, const char *type,
	const char *print, const struct ssh_known_place *place, struct error *err)
{
	const char *file = t->known_hosts.len > 0 ? t->known_hosts.p[0] : "~/.ssh/known_hosts";

	switch (known) {
	case SSH_KNOWN_REVOKED:
		return error_set(err, ERROR_CONNECT, "the host key %s (%s) is revoked in %s:%d",
			print, type, place->file, place->line);
	case SSH_KNOWN_CHANGED:
		error_set(err, ERROR_CONNECT,
			"THE HOST KEY HAS CHANGED: the server shows %s (%s), another is known in "
			"%s:%d",
			print, type, place->file, place->line);
		return error_hint(err,
			"somebody may be listening in, or the server was set up anew. "
			"If you know why, remove that line: ssh-keygen -f %s -R '%s'",
			place->file, t->hostname);
	case SSH_KNOWN_OTHER:
		error_set(err, ERROR_CONNECT,
			"the server shows a host key of another type than the one known in %s:%d: "
			"%s (%s)",
			place->file, place->line, print, type);
		return error_hint(err,
			"record this one too, after comparing it: ssh-keyscan -t %s -p %d "
			"%s >> %s",
			str_starts(type, "ssh-") ? type + 4 : "ecdsa", t->port, t->hostname, file);
	case SSH_KNOWN_UNKNOWN:
	case SSH_KNOWN_MATCH:
	default:
		error_set(err, ERROR_CONNECT, "the host key is not known: %s (%s)%s", print, type,
			place->authority ? "; @cert-authority lines are not supported" : "");
		return error_hint(err,
			"compare it on the server (ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub), "
			"then "
			"accept it: ssh-keyscan -p %d %s >> %s, or say 'ssh: {host_key_check: "
			"accept-new}'",
			t->port, t->hostname, file);
	}
}

int ssh_known_hosts_check(
	const struct ssh_target *t, const void *key, size_t key_len, struct error *err)
{
	CLEANUP_FREE char *name = known_name(t, true);
	struct ssh_known_place place = {0};
	struct wire w = wire_reader(key, key_len);
	CLEANUP_FREE char *type = wire_text(&w);
	enum ssh_known known = look_everywhere(t, name, key, key_len, &place);

	if (known == SSH_KNOWN_UNKNOWN && t->port != 22 && t->host_key_alias == NULL) {
		/* As ssh: an entry without the port counts when it matches. */
		CLEANUP_FREE char *bare = known_name(t, false);
		struct ssh_known_place other = {0};
		if (look_everywhere(t, bare, key, key_len, &other) == SSH_KNOWN_MATCH) {
			known = SSH_KNOWN_MATCH;
		}
		free(other.file);
	}
	int rc = 0;
	if (known == SSH_KNOWN_UNKNOWN && t->host_key_check == SSH_HOST_KEY_ACCEPT_NEW) {
		rc = record(t, name, key, key_len, err);
	} else if (known != SSH_KNOWN_MATCH) {
		CLEANUP_FREE char *print = ssh_fingerprint(key, key_len);
		rc = refuse(t, known, type != NULL ? type : "?", print, &place, err);
	}
	free(place.file);
	return rc;
}
