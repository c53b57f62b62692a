/* SPDX-License-Identifier: MIT */
#include "backup_schedule.h"

#include "backup.h"
#include "cron.h"

#include "ssh/exec.h"
#include "util/clock.h"
#include "util/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES_MS     20000
#define DIGEST_SHOWN 12
#define MAC_BLOCK    64 /* of SHA-256; see RFC 2104 */
#define LAST_MAX     ((size_t)64 << 10)

static char *folder_of(const struct deployment *d, const char *name, const char *file)
{
	CLEANUP_FREE char *relative =
		xasprintf("backups/.%s%s%s", name, file ? "/" : "", file ? file : "");
	return names_state_path(d->config, relative);
}

static char *script_path(const struct deployment *d, const struct target *t)
{
	CLEANUP_FREE char *key = names_service_key(d->config);
	return xasprintf("%s/%s/" BACKUP_SCHEDULE_SCRIPT, t->host->state_dir, key);
}

bool backup_schedule_is_host(const struct deployment *d, const struct target *t)
{
	VEC_FOREACH (&d->config->accessories, i) {
		const struct config_accessory *a = &d->config->accessories.p[i];
		if (a->backup.schedule && target_has_accessory(t, a)) {
			return true;
		}
	}
	return false;
}

/* -- Lines: "17 3 * * * '<script>' db 0123456789ab-0123456789ab" -- */

void backup_schedule_take(
	const struct deployment *d, struct target *t, const char *line, size_t len)
{
	CLEANUP_FREE char *path = script_path(d, t);
	CLEANUP_FREE char *text = xstrndup(line, len);
	char *name = text[0] != '#' && strstr(text, path) ? cron_line_name(text) : NULL;
	if (name) {
		strmap_set(&t->seen.backup_lines, name, text);
		free(name);
	}
}

static void add_setting(struct str *s, const char *name, const char *value)
{
	str_addf(s, "%s=", name);
	ssh_quote(s, value);
	str_addc(s, '\n');
}

/* Another server, and the folder there, quoted for the shell there. */
static void add_elsewhere(struct str *s, const struct deployment *d, const struct target *t,
	const struct config_accessory *a)
{
	CLEANUP_STR struct str folder = STR_INIT(STR_MAX_LINE);
	CLEANUP_FREE char *key = names_service_key(d->config);
	CLEANUP_FREE char *path =
		xasprintf("%s/%s/%s/%s", a->backup.folder, key, a->name, t->address->name);
	const struct config_host *to = &a->backup.server;
	const char *user = to->user ? to->user : d->config->ssh.user;
	CLEANUP_FREE char *whom = user ? xasprintf("%s@%s", user, to->name) : xstrdup(to->name);
	CLEANUP_FREE char *port = to->port ? xasprintf("%d", to->port) : xstrdup("");
	ssh_quote(&folder, path);
	add_setting(s, "to", whom);
	add_setting(s, "port", port);
	add_setting(s, "folder", str_c(&folder));
}

static void add_bucket(struct str *s, const struct deployment *d, const struct target *t,
	const struct config_accessory *a)
{
	const struct config_backup *b = &a->backup;
	const struct s3 s3 = {.endpoint = b->s3_endpoint, .region = b->s3_region, .bucket = b->to};
	CLEANUP_STR struct str folder = STR_INIT(STR_MAX_LINE);
	CLEANUP_STR struct str prefix = STR_INIT(STR_MAX_LINE);
	CLEANUP_FREE char *key = names_service_key(d->config);
	CLEANUP_FREE char *path = xasprintf(
		"%s%s%s/%s/%s", b->folder, *b->folder ? "/" : "", key, a->name, t->address->name);
	CLEANUP_FREE char *url = s3_url(&s3, "");
	s3_encode(&folder, path, true);
	s3_encode(&prefix, path, false);
	str_add(&prefix, "%2F");
	add_setting(s, "bucket", url);
	add_setting(s, "folder", str_c(&folder));
	add_setting(s, "prefix", str_c(&prefix));
}

/* What the script knows of it; not what it has of the key. */
static char *settings(
	const struct deployment *d, const struct target *t, const struct config_accessory *a)
{
	struct str s = STR_INIT(STR_MAX_LINE);
	CLEANUP_JSON json_t *info = json_pack("{s:s, s:s, s:s, s:s, s:s}", "accessory", a->name,
		"host", t->address->name, "kind", backup_kind_name(a), "image", a->image, "note",
		"by schedule");
	CLEANUP_FREE char *text = json_text(info);
	CLEANUP_FREE char *inside = xstrndup(text + 1, strlen(text) - 2); /* of its braces */
	CLEANUP_FREE char *keep = xasprintf("%d", a->backup.keep_days);
	CLEANUP_FREE char *seconds = xasprintf("%d", a->backup.timeout_ms / 1000);
	add_setting(&s, "accessory", a->name);
	add_setting(&s, "container", a->container);
	add_setting(&s, "kind", backup_kind_name(a));
	add_setting(&s, "magic", backup_magic(a));
	add_setting(&s, "info", inside);
	add_setting(&s, "keep", keep);
	add_setting(&s, "seconds", seconds);
	if (a->backup.place == CONFIG_BACKUP_SSH) {
		add_elsewhere(&s, d, t, a);
	} else if (a->backup.place == CONFIG_BACKUP_S3) {
		add_bucket(&s, d, t, a);
	}
	return str_take(&s);
}

static const struct secret *key_of(const struct deployment *d, const struct config_accessory *a)
{
	return a->backup.key_secret ? secret_map_get(&d->secrets, a->backup.key_secret) : NULL;
}

/* The names of its secrets; how many. */
static size_t secret_names(const struct config_accessory *a, const char *names[3])
{
	const struct config_backup *b = &a->backup;
	const char *all[] = {b->key_secret, b->s3_access_key_secret, b->s3_secret_key_secret};
	size_t n = 0;
	for (size_t i = 0; i < 3; i++) {
		if (all[i]) {
			names[n++] = all[i];
		}
	}
	return n;
}

/* What the secrets are, keyed; false when they were not loaded. */
static bool digest_secrets(
	const struct deployment *d, const struct config_accessory *a, char out[DIGEST_HEX_SIZE])
{
	CLEANUP_STR struct str all = STR_SECRET_INIT(STR_MAX_FILE);
	const char *own = d->targets[d->lock_target].seen.key;
	const char *names[3];
	size_t n = secret_names(a, names);
	for (size_t i = 0; i < n; i++) {
		const struct secret *s = secret_map_get(&d->secrets, names[i]);
		if (!s) {
			return false;
		}
		str_addf(&all, "%zu ", secret_len(s));
		str_addn(&all, secret_reveal(s), secret_len(s));
	}
	digest_hmac_hex(own, strlen(own), str_c(&all), all.len, out);
	return true;
}

/* The caller frees. */
static char *script_of(const struct target *t)
{
	struct str s = STR_INIT(STR_MAX_FILE);
	for (const char *const *line = backup_schedule_sh; *line; line++) {
		if (!str_eq(*line, "@docker_host@\n")) {
			str_add(&s, *line);
		} else if (t->host->socket) {
			str_addf(&s, "export DOCKER_HOST=unix://%s\n", t->host->socket);
		}
	}
	return str_take(&s);
}

/* Without its end when a secret of it was not loaded. The caller frees. */
static char *wanted_line(
	const struct deployment *d, const struct target *t, const struct config_accessory *a)
{
	struct str line = STR_INIT(STR_MAX_LINE);
	CLEANUP_STR struct str all = STR_INIT(STR_MAX_FILE);
	CLEANUP_FREE char *path = script_path(d, t);
	CLEANUP_FREE char *script = script_of(t);
	CLEANUP_FREE char *conf = settings(d, t, a);
	CLEANUP_FREE char *dump = backup_dump_script(a);
	char hex[DIGEST_HEX_SIZE];
	str_addf(&all, "%s\n%s\n%s", script, conf, dump);
	digest_sha256_hex(str_c(&all), all.len, hex);
	str_addf(&line, "%s ", a->backup.schedule);
	ssh_quote(&line, path);
	str_addf(&line, " %s %.*s", a->name, DIGEST_SHOWN, hex);
	const char *names[3];
	if (secret_names(a, names) > 0) {
		str_addc(&line, '-');
		str_addf(&line, "%.*s", digest_secrets(d, a, hex) ? DIGEST_SHOWN : 0, hex);
	}
	return str_take(&line);
}

bool backup_schedule_differs(
	struct deployment *d, const struct target *t, const struct config_accessory *a)
{
	const char *seen = strmap_get(&t->seen.backup_lines, a->name);
	if (!a->backup.schedule || !seen) {
		return a->backup.schedule || seen;
	}
	CLEANUP_FREE char *wanted = wanted_line(d, t, a);
	char hex[DIGEST_HEX_SIZE];
	return digest_secrets(d, a, hex) ? !str_eq(seen, wanted) : !str_starts(seen, wanted);
}

/* -- Setting it up -- */

/* The key's parts, each in a file; and what is public of it in `conf`. */
static int add_key(struct sftp_batch *b, const struct deployment *d,
	const struct config_accessory *a, struct str *conf, struct error *err)
{
	struct cipher_key k;
	unsigned char pads[2][MAC_BLOCK];
	CLEANUP_FREE char *pass = folder_of(d, a->name, "pass");
	CLEANUP_FREE char *ipad = folder_of(d, a->name, "ipad");
	CLEANUP_FREE char *opad = folder_of(d, a->name, "opad");
	const struct secret *key = key_of(d, a);
	if (!key) {
		add_setting(conf, "salt", "");
		sftp_rmtree(b, pass, 1);
		sftp_rmtree(b, ipad, 1);
		sftp_rmtree(b, opad, 1);
		return 0;
	}
	if (cipher_key_make(&k, key, NULL, err) < 0) {
		return -1;
	}
	for (size_t i = 0; i < MAC_BLOCK; i++) {
		unsigned char c = i < sizeof(k.mac) ? k.mac[i] : 0;
		pads[0][i] = c ^ 0x36;
		pads[1][i] = c ^ 0x5c;
	}
	add_setting(conf, "salt", k.salt);
	add_setting(conf, "check", k.check);
	sftp_write(b, pass, k.pass, strlen(k.pass), 0600);
	sftp_write(b, ipad, pads[0], MAC_BLOCK, 0600);
	sftp_write(b, opad, pads[1], MAC_BLOCK, 0600);
	cipher_key_fini(&k);
	explicit_bzero(pads, sizeof(pads));
	return 0;
}

/* What the script needs there, beside what cron-run needs. */
static int check_tool(struct target *t, const char *command, const char *tool, struct error *err)
{
	int status = 0;
	if (ssh_run(t->host->ssh, command, NULL, 0, NULL, NULL, FILES_MS, &status, err) < 0) {
		return -1;
	}
	if (status != 0) {
		error_set(err, ERROR_REMOTE, "there is no %s that scheduled backups can use", tool);
		return error_hint(err, "on the server: apt-get install %s", tool);
	}
	return 0;
}

static int check_tools(struct target *t, const struct config_accessory *a, struct error *err)
{
	if (a->backup.key_secret &&
		check_tool(t, "openssl enc -list 2>&1 | grep -q aes-256-ctr", "openssl", err) < 0) {
		return -1;
	}
	return a->backup.place == CONFIG_BACKUP_S3
		       ? check_tool(t, "curl --help all | grep -q aws-sigv4", "curl", err)
		       : 0;
}

static void add_quoted(struct str *s, const char *text)
{
	for (; *text; text++) {
		str_addf(s, strchr("\\\"", *text) ? "\\%c" : "%c", *text);
	}
}

/* The keys of the bucket, for curl alone. */
static void write_keys(
	struct sftp_batch *b, const struct deployment *d, const struct config_accessory *a)
{
	CLEANUP_STR struct str text = STR_SECRET_INIT(STR_MAX_LINE);
	CLEANUP_FREE char *path = folder_of(d, a->name, "curl");
	if (a->backup.place != CONFIG_BACKUP_S3) {
		sftp_rmtree(b, path, 1);
		return;
	}
	str_addf(&text, "aws-sigv4 = \"aws:amz:%s:s3\"\nuser = \"", a->backup.s3_region);
	add_quoted(
		&text, secret_reveal(secret_map_get(&d->secrets, a->backup.s3_access_key_secret)));
	str_addc(&text, ':');
	add_quoted(
		&text, secret_reveal(secret_map_get(&d->secrets, a->backup.s3_secret_key_secret)));
	str_add(&text, "\"\n");
	sftp_write(b, path, str_c(&text), text.len, 0600);
}

/* Can the server log in to where its backups go, with nobody there?  The script itself tries. */
static int check_elsewhere(
	struct deployment *d, struct target *t, const struct config_accessory *a, struct error *err)
{
	CLEANUP_STR struct str command = STR_INIT(STR_MAX_LINE);
	CLEANUP_STR struct str said = STR_INIT(STR_MAX_LINE);
	CLEANUP_FREE char *path = script_path(d, t);
	int status = 0;
	bool s3 = a->backup.place == CONFIG_BACKUP_S3;
	if (!s3 && a->backup.place != CONFIG_BACKUP_SSH) {
		return 0;
	}
	ssh_quote(&command, path);
	str_addf(&command, " %s check", a->name);
	if (ssh_run(t->host->ssh, str_c(&command), NULL, 0, NULL, &said, FILES_MS, &status, err) <
		0) {
		return -1;
	}
	if (status != 0) {
		error_set(err, ERROR_REMOTE, "the server itself cannot write to '%s'",
			s3 ? a->backup.to : a->backup.server.name);
		(void)error_detail(err, str_c(&said), said.len);
		if (s3) {
			return -1;
		}
		return error_hint(err,
			"its login needs a key (ssh-keygen) that is allowed there "
			"(authorized_keys), and the host key of there in its known_hosts");
	}
	return 0;
}

static int install(
	struct deployment *d, struct target *t, const struct config_accessory *a, struct error *err)
{
	CLEANUP_FREE char *run = names_state_path(d->config, BACKUP_SCHEDULE_SCRIPT);
	CLEANUP_FREE char *folder = folder_of(d, a->name, NULL);
	CLEANUP_FREE char *conf_path = folder_of(d, a->name, "conf");
	CLEANUP_FREE char *dump_path = folder_of(d, a->name, "dump");
	CLEANUP_FREE char *script = script_of(t);
	CLEANUP_FREE char *dump = backup_dump_script(a);
	CLEANUP_FREE char *text = settings(d, t, a);
	CLEANUP_STR struct str conf = STR_INIT(STR_MAX_LINE);
	if (host_files(t->host, err) < 0 || check_tools(t, a, err) < 0) {
		return -1;
	}
	struct sftp_batch *b = sftp_batch_new(t->host->sftp);
	str_add(&conf, text);
	sftp_mkdirs(b, folder, 0700);
	sftp_barrier(b);
	int result = add_key(b, d, a, &conf, err);
	if (result == 0) {
		write_keys(b, d, a);
		sftp_write(b, conf_path, str_c(&conf), conf.len, 0600);
		sftp_write(b, dump_path, dump, strlen(dump), 0600);
		sftp_write(b, run, script, strlen(script), 0700);
		result = sftp_run(b, FILES_MS, err);
	}
	if (result == 0) {
		result = sftp_check(b, err);
	}
	sftp_batch_free(b);
	return result == 0 ? check_elsewhere(d, t, a, err) : -1;
}

static int uninstall(struct deployment *d, struct target *t, const char *name, struct error *err)
{
	CLEANUP_FREE char *folder = folder_of(d, name, NULL);
	if (host_files(t->host, err) < 0) {
		return -1;
	}
	struct sftp_batch *b = sftp_batch_new(t->host->sftp);
	sftp_rmtree(b, folder, 100);
	int result = sftp_run(b, FILES_MS, err);
	sftp_batch_free(b);
	return result;
}

static int write_lines(struct deployment *d, struct target *t, struct error *err)
{
	CLEANUP_STRVEC struct strvec lines = {0};
	CLEANUP_FREE char *path = script_path(d, t);
	CLEANUP_FREE char *service = names_service_key(d->config);
	CLEANUP_FREE char *key = xasprintf("%s backups", service);
	VEC_FOREACH (&t->seen.backup_lines, i) {
		strvec_push(&lines, t->seen.backup_lines.p[i].value);
	}
	return crontab_write(t, path, key, &lines, err);
}

int backup_schedule(struct deployment *d, struct target *t, const char *name,
	const struct config_accessory *a, struct error *err)
{
	if (!a) {
		strmap_del(&t->seen.backup_lines, name);
		if (write_lines(d, t, err) < 0 || uninstall(d, t, name, err) < 0) {
			return error_wrap(err, "end the scheduled backups of '%s'", name);
		}
		ui_done(d->ui, t->host->name, "cron backs up %s no more", name);
		return 0;
	}
	if (t->seen.cron == CRON_MISSING) {
		error_set(err, ERROR_REMOTE, "there is no cron to back up accessory '%s'", name);
		return error_hint(err, "on the server: apt-get install cron");
	}
	CLEANUP_FREE char *line = wanted_line(d, t, a);
	strmap_set(&t->seen.backup_lines, name, line);
	if (install(d, t, a, err) < 0 || write_lines(d, t, err) < 0) {
		return error_wrap(err, "schedule the backups of '%s'", name);
	}
	ui_done(d->ui, t->host->name, "cron backs up %s (%s)", name, a->backup.schedule);
	return 0;
}

int backup_schedule_mend(
	struct deployment *d, struct target *t, const struct config_accessory *a, struct error *err)
{
	if (!backup_schedule_differs(d, t, a)) {
		return 0;
	}
	return backup_schedule(d, t, a->name, a->backup.schedule ? a : NULL, err);
}

/* -- The last run -- */

void backup_last_fini(struct backup_last *last)
{
	free(last->why);
	memset(last, 0, sizeof(*last));
}

int backup_last_read(struct deployment *d, struct target *t, const struct config_accessory *a,
	struct backup_last *last, bool *found, struct error *err)
{
	CLEANUP_FREE char *path = folder_of(d, a->name, "last");
	CLEANUP_FREE char *conf_path = folder_of(d, a->name, "conf");
	memset(last, 0, sizeof(*last));
	*found = false;
	if (host_files(t->host, err) < 0) {
		return -1;
	}
	struct sftp_batch *b = sftp_batch_new(t->host->sftp);
	struct sftp_op *op = sftp_read(b, path, LAST_MAX);
	struct sftp_op *conf = sftp_stat(b, conf_path);
	int result = sftp_run(b, FILES_MS, err);
	if (result == 0 && op->status == SFTP_OK) {
		struct error ignored = {0};
		CLEANUP_JSON json_t *j =
			json_parse(str_c(&op->data), op->data.len, "last", &ignored);
		*found = j != NULL;
		snprintf(last->started, sizeof(last->started), "%s", json_str_at(j, "started", ""));
		snprintf(last->ended, sizeof(last->ended), "%s", json_str_at(j, "ended", ""));
		last->exit_code = (int)json_int_at(j, "exit", -1);
		const char *why = json_str_at(j, "error", "");
		last->why = *why ? xstrdup(why) : NULL;
	}
	if (result == 0 && conf->status == SFTP_OK) {
		last->since_ms = (int64_t)conf->attrs.mtime * 1000;
	}
	sftp_batch_free(b);
	return result;
}
