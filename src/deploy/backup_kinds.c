/* SPDX-License-Identifier: MIT */
/* What a backup is, by its kind. */
#include "backup.h"

#include "ssh/exec.h"

/* Login and database: the manifest's, else the image's variables. */
static void postgres_head(const struct config_accessory *a, struct str *s)
{
	str_add(s, "set -eu; U=");
	if (a->backup.user) {
		ssh_quote(s, a->backup.user);
	} else {
		str_add(s, "\"${POSTGRES_USER:-postgres}\"");
	}
	str_add(s, "; D=");
	if (a->backup.database) {
		ssh_quote(s, a->backup.database);
	} else {
		str_add(s, "\"${POSTGRES_DB:-$U}\"");
	}
	str_add(s, "; export PGPASSWORD=\"${POSTGRES_PASSWORD:-}\"; ");
}

static const char redis_head[] = "export REDISCLI_AUTH=\"${REDISCLI_AUTH:-${REDIS_PASSWORD:-}}\"; "
				 "[ -n \"$REDISCLI_AUTH\" ] || unset REDISCLI_AUTH; ";

/*
 * Into a database beside it, which takes its name when all of it is there.  Both renames are one
 * transaction; it locks out new connections, and waits for the end of the old ones.
 */
static const char postgres_restore[] =
	"q() { psql -qAtX -v ON_ERROR_STOP=1 -U \"$U\" -d template1 -v db=\"$D\" "
	"-v side=\"${D}_restore\" -v old=\"${D}_before\" \"$@\"; }\n"
	"clear() { echo 'drop database if exists :\"side\"; drop database if exists :\"old\"' | "
	"q 2>/dev/null; }\n"
	"clear\n"
	"trap clear EXIT\n"
	"owner=$(echo \"select pg_get_userbyid(datdba) from pg_database where datname = :'db'\" | "
	"q)\n"
	"if [ -z \"$owner\" ]; then\n"
	"  echo 'create database :\"db\" template template0' | q\n"
	"  owner=$U\n"
	"fi\n"
	"echo 'create database :\"side\" owner :\"owner\" template template0' | q -v "
	"owner=\"$owner\"\n"
	"pg_restore -U \"$U\" -d \"${D}_restore\" --exit-on-error\n"
	"(while :; do\n"
	"  echo \"select pg_terminate_backend(pid) from pg_stat_activity where datname = :'db'\" | "
	"q >/dev/null 2>&1\n"
	"  sleep 0.3\n"
	"done) &\n"
	"ender=$!\n"
	"trap 'kill $ender 2>/dev/null; clear' EXIT\n"
	"printf '%s;\\n' begin 'alter database :\"db\" rename to :\"old\"' "
	"'alter database :\"side\" rename to :\"db\"' commit | q\n";

/*
 * A replica takes its master's data over only when it has received all of them, also into its
 * append-only file.  Runs to its end in the container whatever becomes of us.
 */
static const char redis_take_over[] =
	"trap 'redis-cli replicaof no one >/dev/null' EXIT\n"
	"[ \"$(redis-cli replicaof \"$A\" 6379)\" = OK ] || exit 1\n"
	"i=0\n"
	"until redis-cli info replication | grep -q '^master_link_status:up'; do\n"
	"  i=$((i + 1))\n"
	"  [ $i -lt 3000 ] || { echo 'its data do not arrive' >&2; exit 1; }\n"
	"  sleep 0.1\n"
	"done\n";

static const char postgres_count[] =
	"psql -qAtX -U \"$U\" -d \"$D\" -c \"select count(*) || ' tables, ' || "
	"coalesce(sum((xpath('/row/c/text()', query_to_xml(format('select count(*) as c from "
	"%I.%I', "
	"schemaname, tablename), false, true, '')))[1]::text::bigint), 0) || ' rows' from "
	"pg_tables "
	"where schemaname not in ('pg_catalog', 'information_schema')\"";

char *backup_dump_script(const struct config_accessory *a)
{
	struct str s = STR_INIT(STR_MAX_LINE);
	if (a->backup.kind == CONFIG_BACKUP_POSTGRES) {
		postgres_head(a, &s);
		str_add(&s, "exec pg_dump -Fc -U \"$U\" \"$D\"");
	} else if (a->backup.kind == CONFIG_BACKUP_REDIS) {
		str_addf(&s, "%sexec redis-cli --rdb -", redis_head);
	} else {
		str_add(&s, a->backup.command);
	}
	return str_take(&s);
}

char *backup_restore_script(const struct config_accessory *a)
{
	struct str s = STR_INIT(STR_MAX_LINE);
	if (a->backup.kind == CONFIG_BACKUP_POSTGRES) {
		postgres_head(a, &s);
		str_add(&s, postgres_restore);
	} else if (a->backup.kind == CONFIG_BACKUP_REDIS) {
		return NULL;
	} else {
		str_add(&s, a->backup.restore);
	}
	return str_take(&s);
}

char *backup_scratch_script(const struct config_accessory *a)
{
	struct str s = STR_INIT(STR_MAX_LINE);
	if (a->backup.kind != CONFIG_BACKUP_POSTGRES) {
		return backup_restore_script(a);
	}
	/* Logins that own something there are not in a backup of one database. */
	postgres_head(a, &s);
	str_add(&s, "echo 'create database :\"db\" template template0' | "
		    "psql -qX -U \"$U\" -d template1 -v db=\"$D\" 2>/dev/null || :\n"
		    "exec pg_restore -U \"$U\" -d \"$D\" --exit-on-error --no-owner "
		    "--no-privileges");
	return str_take(&s);
}

char *backup_count_script(const struct config_accessory *a)
{
	struct str s = STR_INIT(STR_MAX_LINE);
	if (a->backup.kind == CONFIG_BACKUP_POSTGRES) {
		postgres_head(a, &s);
		str_add(&s, postgres_count);
	} else if (a->backup.kind == CONFIG_BACKUP_REDIS) {
		str_addf(&s, "%secho \"$(redis-cli dbsize) keys\"", redis_head);
	} else if (a->backup.verify) {
		str_add(&s, a->backup.verify);
	} else {
		return NULL;
	}
	return str_take(&s);
}

char *backup_take_over_script(const char *address)
{
	struct str s = STR_INIT(STR_MAX_LINE);
	str_add(&s, redis_head);
	str_add(&s, "A=");
	ssh_quote(&s, address);
	str_addf(&s, "\n%s", redis_take_over);
	return str_take(&s);
}

const char *backup_magic(const struct config_accessory *a)
{
	switch (a->backup.kind) {
	case CONFIG_BACKUP_POSTGRES:
		return "PGDMP";
	case CONFIG_BACKUP_REDIS:
		return "REDIS";
	case CONFIG_BACKUP_MYSQL:
	case CONFIG_BACKUP_MARIADB:
	case CONFIG_BACKUP_COMMAND:
		break;
	}
	return "";
}

const char *backup_kind_name(const struct config_accessory *a)
{
	static const char *const names[] = {
		[CONFIG_BACKUP_POSTGRES] = "postgres",
		[CONFIG_BACKUP_MYSQL] = "mysql",
		[CONFIG_BACKUP_MARIADB] = "mariadb",
		[CONFIG_BACKUP_REDIS] = "redis",
		[CONFIG_BACKUP_COMMAND] = "command",
	};
	return names[a->backup.kind];
}
