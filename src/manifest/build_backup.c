/* SPDX-License-Identifier: MIT */
/* backup: of an accessory. */
#include "internal.h"

#include "manifest/syntax.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *word;
	enum config_backup_kind kind;
} kinds[] = {
	{"postgres", CONFIG_BACKUP_POSTGRES},
	{"mysql", CONFIG_BACKUP_MYSQL},
	{"mariadb", CONFIG_BACKUP_MARIADB},
	{"redis", CONFIG_BACKUP_REDIS},
	{"command", CONFIG_BACKUP_COMMAND},
};

/* "registry/library/postgres:15" is a postgres. */
const char *image_family(const char *image)
{
	const char *slash = strrchr(image, '/');
	const char *name = slash != NULL ? slash + 1 : image;
	size_t n = strcspn(name, ":@");

	for (size_t i = 0; i + 1 < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strlen(kinds[i].word) == n && memcmp(name, kinds[i].word, n) == 0) {
			return kinds[i].word;
		}
	}
	return NULL;
}

static void build_kind(struct build *b, const struct node *n, struct config_accessory *a)
{
	static const char *const own[] = {"command", "restore", "verify"};
	const char *word = get_text(n, "kind", has(n, "command") ? "command" : a->family);
	int kind = -1;

	for (size_t i = 0; word != NULL && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		kind = strcmp(kinds[i].word, word) == 0 ? (int)kinds[i].kind : kind;
	}
	if (kind < 0) {
		mistake(b, n, "kind: postgres, mysql, mariadb or redis; or command: and restore:",
			"what 'backup' of accessory '%s' does cannot be told from its image",
			a->name);
		return;
	}
	a->backup.kind = (enum config_backup_kind)kind;
	if (kind == CONFIG_BACKUP_COMMAND && (!has(n, "command") || !has(n, "restore"))) {
		mistake(b, n, "command: writes the backup to its output, restore: reads it",
			"a backup by command needs 'command' and 'restore'");
	}
	for (size_t i = 0; kind != CONFIG_BACKUP_COMMAND && i < 3; i++) {
		if (has(n, own[i])) {
			mistake(b, node_find(n, own[i])->key, "kind: command",
				"'%s' belongs to 'kind: command'", own[i]);
		}
	}
}

/* ssh://[user@]host[:port]/folder, s3://bucket[/prefix] or a folder. */
static void build_to(struct build *b, const struct node *n, struct config_backup *out)
{
	const char *to = get_text(n, "to", "server");
	const char *rest = strstr(to, "://");

	if (strcmp(to, "server") == 0) {
		out->place = CONFIG_BACKUP_SERVER;
	} else if (rest == NULL) {
		out->place = CONFIG_BACKUP_LOCAL;
		out->to = absolute_path(b, to);
	} else {
		size_t len;

		rest += 3;
		len = strcspn(rest, "/");
		out->place = to[1] == '3' ? CONFIG_BACKUP_S3 : CONFIG_BACKUP_SSH;
		out->to = arena_strndup(b->arena, rest, len);
		out->folder = rest[len] != '\0' && out->place == CONFIG_BACKUP_S3 ? rest + len + 1
										  : rest + len;
		if (out->place == CONFIG_BACKUP_SSH) {
			char *user = NULL, *host = NULL;

			syntax_server_split(out->to, &user, &host, &out->server.port);
			out->server.name = arena_strdup(b->arena, host);
			out->server.user = arena_strdup(b->arena, user);
			out->server.mark = mark_at(node_get(n, "to"));
			free(host);
			free(user);
		}
	}
	if (out->place == CONFIG_BACKUP_LOCAL && out->schedule != NULL) {
		mistake(b, node_get(n, "schedule"), "to: server, ssh://.. or s3://..",
			"a backup to this machine cannot be scheduled: this machine may be off");
	}
}

static void build_s3(struct build *b, const struct node *n, struct config_backup *out)
{
	const struct node *s3 = node_get(n, "s3");

	out->s3_endpoint = get_text(s3, "endpoint", NULL);
	out->s3_region = get_text(s3, "region", "us-east-1");
	out->s3_access_key_secret = get_secret(s3, "access_key");
	out->s3_secret_key_secret = get_secret(s3, "secret_key");
	if ((out->place == CONFIG_BACKUP_S3) != usable(s3) && (s3 == NULL || !s3->bad)) {
		mistake(b, usable(s3) ? s3 : node_get(n, "to"),
			"to: s3://bucket, and s3: {access_key: [NAME], secret_key: [NAME]}",
			usable(s3) ? "'s3' is only for a backup to s3://"
				   : "a backup to s3:// needs 's3' with its keys");
	}
}

void build_backup(struct build *b, const struct node *n, struct config_accessory *a)
{
	struct config_backup *out = &a->backup;
	const char *schedule;

	if (!usable(n) || n->kind != NODE_MAP) {
		return;
	}
	out->enabled = true;
	out->mark = mark_at(n);
	build_kind(b, n, a);
	out->database = get_text(n, "database", NULL);
	out->user = get_text(n, "user", NULL);
	out->command = get_text(n, "command", NULL);
	out->restore = get_text(n, "restore", NULL);
	out->verify = get_text(n, "verify", NULL);
	schedule = get_text(n, "schedule", NULL);
	out->schedule = schedule != NULL ? syntax_schedule_fields(schedule) : NULL;
	out->keep_days = get_int(n, "keep", 30);
	out->timeout_ms = get_ms(n, "timeout", 3600000);
	out->key_secret = get_secret(n, "key");
	build_to(b, n, out);
	build_s3(b, n, out);
}
