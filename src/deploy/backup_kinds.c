/* SPDX-License-Identifier: MIT */
/* What a backup is, by its kind. */
#include "backup.h"

#include "ssh/exec.h"

static const char mysql_common[] =
	"\n"
	"[ -n \"$D\" ] || { echo 'which database? give backup.database' >&2; exit 1; }\n"
	"if [ \"$U\" = root ]; then\n"
	"  P=${MARIADB_ROOT_PASSWORD:-${MYSQL_ROOT_PASSWORD:-}}\n"
	"  F=${MARIADB_ROOT_PASSWORD_FILE:-${MYSQL_ROOT_PASSWORD_FILE:-}}\n"
	"else\n"
	"  P=${MARIADB_PASSWORD:-${MYSQL_PASSWORD:-}}\n"
	"  F=${MARIADB_PASSWORD_FILE:-${MYSQL_PASSWORD_FILE:-}}\n"
	"fi\n"
	"[ -z \"$F\" ] || P=$(cat \"$F\")\n"
	"export MYSQL_PWD=\"$P\"\n"
	"sql=mariadb; command -v $sql >/dev/null 2>&1 || sql=mysql\n"
	"dump=mariadb-dump; command -v $dump >/dev/null 2>&1 || dump=mysqldump\n"
	"gtid=; ! $dump --help 2>/dev/null | grep -q set-gtid-purged || "
	"gtid=--set-gtid-purged=OFF\n"
	"q() { $sql -u \"$U\" --default-character-set=utf8mb4 -N -B \"$@\"; }\n"
	"dump() {\n"
	"  $dump -u \"$U\" --default-character-set=utf8mb4 --no-tablespaces --hex-blob $gtid "
	"\"$@\"\n"
	"}\n";

/*
 * Into a database beside it first: D is not touched before all of the backup is read and good.
 * Then its tables take the place of those of D in one statement, which MySQL and MariaDB do wholly
 * or not at all.  Triggers cannot move with a table, nor can what is no table: these are written
 * down before, and made anew; those of D come back when the tables cannot move.  Runs to its end
 * in the container whatever becomes of us.
 */
static const char mysql_restore[] =
	"case \"$D\" in\n"
	"*[!A-Za-z0-9_-]*) echo \"a database called '$D' cannot be restored\" >&2; exit 1 ;;\n"
	"esac\n"
	"S=${D}_restore; B=${D}_before; W=$(mktemp -d)\n"
	"a() { { echo \"set sql_mode = 'ANSI_QUOTES';\"; cat; } | q; }\n"
	"clear() { echo \"drop database if exists \\\"$S\\\"; drop database if exists \\\"$B\\\"\" "
	"| a; rm -rf \"$W\"; }\n"
	"extras() { dump --no-data --no-create-info --routines --events --triggers \"$1\"; }\n"
	"drops() {\n"
	"  echo \"select concat('drop $2 \\\"$1\\\".\\\"', replace($3, '\\\"', '\\\"\\\"'), "
	"'\\\";') from\n"
	"    information_schema.$4 = '$1'\" | a\n"
	"}\n"
	"moves() {\n"
	"  echo \"select concat('\\\"$1\\\".\\\"', replace(table_name, '\\\"', '\\\"\\\"'), '\\\" "
	"to \\\"$2\\\".\\\"',\n"
	"    replace(table_name, '\\\"', '\\\"\\\"'), '\\\"') from information_schema.tables where "
	"table_type in\n"
	"    ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE') and table_schema = '$1'\" | a\n"
	"}\n"
	"clear\n"
	"mkdir -p \"$W\"\n"
	"trap clear EXIT\n"
	"echo \"create database \\\"$S\\\" character set utf8mb4; create database if not exists "
	"\\\"$D\\\"\" | a\n"
	"q \"$S\"\n"
	"extras \"$S\" >\"$W/new\"\n"
	"extras \"$D\" >\"$W/own\"\n"
	"set --\n"
	"echo \"select table_name from information_schema.views where table_schema = '$S'\" | q "
	">\"$W/views\"\n"
	"while read -r v; do set -- \"$@\" \"$v\"; done <\"$W/views\"\n"
	"[ $# = 0 ] || dump \"$S\" \"$@\" >>\"$W/new\"\n"
	"{ moves \"$D\" \"$B\"; moves \"$S\" \"$D\"; } >\"$W/moves\"\n"
	"{\n"
	"  drops \"$S\" trigger trigger_name 'triggers where trigger_schema'\n"
	"  drops \"$D\" trigger trigger_name 'triggers where trigger_schema'\n"
	"  echo \"create database \\\"$B\\\"; set foreign_key_checks = 0;\"\n"
	"  if [ -s \"$W/moves\" ]; then echo 'rename table'; sed '$!s/$/,/' \"$W/moves\"; echo "
	"';'; fi\n"
	"} >\"$W/swap\"\n"
	"if ! a <\"$W/swap\"; then\n"
	"  q \"$D\" <\"$W/own\" || echo 'its triggers could not be put back' >&2\n"
	"  exit 1\n"
	"fi\n"
	"{\n"
	"  drops \"$D\" view table_name 'views where table_schema'\n"
	"  drops \"$D\" procedure routine_name \"routines where routine_type = 'PROCEDURE' and "
	"routine_schema\"\n"
	"  drops \"$D\" function routine_name \"routines where routine_type = 'FUNCTION' and "
	"routine_schema\"\n"
	"  drops \"$D\" event event_name 'events where event_schema'\n"
	"} | a\n"
	"q \"$D\" <\"$W/new\"\n";

static const char mysql_count[] =
	"q \"$D\" <<'END'\n"
	"set session group_concat_max_len = 16777216;\n"
	"select count(*), group_concat(concat('select count(*) as n from `',\n"
	"  replace(table_name, '`', '``'), '`') separator ' union all ') into @t, @q\n"
	"  from information_schema.tables where table_schema = database() and table_type in\n"
	"  ('BASE TABLE', 'SYSTEM VERSIONED');\n"
	"set @q = concat('select concat(@t, '' tables, '', coalesce(sum(n), 0), '' rows'') from "
	"(',\n"
	"  coalesce(@q, 'select 0 as n'), ') as x');\n"
	"prepare p from @q;\n"
	"execute p;\n"
	"END\n";

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

/* The same of MySQL and MariaDB, whose programs have two names. */
static void mysql_head(const struct config_accessory *a, struct str *s)
{
	str_add(s, "set -eu; U=");
	ssh_quote(s, a->backup.user ? a->backup.user : "root");
	str_add(s, "; D=");
	if (a->backup.database) {
		ssh_quote(s, a->backup.database);
	} else {
		str_add(s, "\"${MARIADB_DATABASE:-${MYSQL_DATABASE:-}}\"");
	}
	str_add(s, mysql_common);
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

static bool is_mysql(const struct config_accessory *a)
{
	return a->backup.kind == CONFIG_BACKUP_MYSQL || a->backup.kind == CONFIG_BACKUP_MARIADB;
}

char *backup_dump_script(const struct config_accessory *a)
{
	struct str s = STR_INIT(STR_MAX_LINE);
	if (a->backup.kind == CONFIG_BACKUP_POSTGRES) {
		postgres_head(a, &s);
		str_add(&s, "exec pg_dump -Fc -U \"$U\" \"$D\"");
	} else if (is_mysql(a)) {
		mysql_head(a, &s);
		str_add(&s,
			"dump --single-transaction --quick --routines --events --triggers \"$D\"");
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
	} else if (is_mysql(a)) {
		mysql_head(a, &s);
		str_add(&s, mysql_restore);
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
	if (is_mysql(a)) {
		mysql_head(a, &s);
		str_add(&s, "echo \"create database if not exists \\`$D\\`\" | q\nq \"$D\"");
		return str_take(&s);
	}
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
	} else if (is_mysql(a)) {
		mysql_head(a, &s);
		str_add(&s, mysql_count);
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
