/* SPDX-License-Identifier: MIT */
#include "cron.h"

#include "backup_schedule.h"

#include "ssh/exec.h"
#include "util/digest.h"
#include "util/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CRON_TIMEOUT_MS 20000
#define CRONTAB_MAX     ((size_t)1 << 20)
#define RUNS_MAX        ((size_t)1 << 20)

/*
 * %s: DOCKER_HOST, or nothing.  Without a shell's environment: cron gives it next to none.  The
 * record keeps its last 200 lines.
 */
static const char run_script[] =
	"#!/bin/sh\n"
	"# Made by deploy: cron starts a job with it. usage: cron-run CONTAINER ID\n"
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin\n"
	"%s"
	"umask 077\n"
	"cd \"$(dirname \"$0\")\" || exit 1\n"
	"docker=docker\n"
	"command -v docker >/dev/null 2>&1 || docker=podman\n"
	"exec 8>>\"cron-$2.lock\"\n"
	"flock -n 8 || exit 0 # the last run still goes on\n"
	"[ -z \"$($docker ps -q --filter \"label=deploy.cron-id=$2\")\" ] || exit 0\n"
	"now() { date -u +%%Y-%%m-%%dT%%H:%%M:%%SZ; }\n"
	"began=$(now)\n"
	"if why=$($docker start \"$1\" 2>&1 >/dev/null); then\n"
	"	why=\n"
	"	code=$($docker wait \"$1\" 2>/dev/null)\n"
	"else\n"
	"	code=125\n"
	"	why=$(printf %%s \"$why\" | tr -d '\"\\\\\\000-\\037' | cut -c1-300)\n"
	"fi\n"
	"exec 7>>cron.lock\n"
	"flock 7\n"
	"printf '{\"id\":\"%%s\",\"container\":\"%%s\",\"started\":\"%%s\",\"ended\":\"%%s\","
	"\"exit\":%%s,\"error\":\"%%s\"}\\n' \"$2\" \"$1\" \"$began\" \"$(now)\" \"${code:-null}\" "
	"\"$why\" "
	">>cron.jsonl\n"
	"if [ \"$(wc -l <cron.jsonl)\" -gt 400 ]; then\n"
	"	tail -n 200 cron.jsonl >cron.new && mv cron.new cron.jsonl\n"
	"fi\n";

/* First a word on cron itself, then the crontab. */
static const char look_script[] =
	"command -v crontab >/dev/null 2>&1 || { echo missing; exit 0; }; "
	"if grep -qsxE 'crond?|fcron|busybox' /proc/[0-9]*/comm; then echo runs; "
	"else echo stopped; fi; crontab -l 2>/dev/null; exit 0";

/*
 * %s: the script, what the block is called.  Our lines are known by the script, and go one by one:
 * a damaged block takes nobody else's lines along.  A crontab that cannot be read is not replaced.
 */
static const char write_script[] =
	"run=%s; key=%s; umask 077; dir=${run%%/*}; mkdir -p \"$dir\" || exit 1; "
	"exec 9>>\"${run%%/.deploy/*}/.deploy/cron.lock\"; flock 9 || exit 1; "
	"t=$(mktemp \"$dir/crontab.XXXXXX\") || exit 1; trap 'rm -f \"$t\" \"$t.new\"' EXIT; "
	"if ! crontab -l >\"$t\" 2>\"$t.new\"; then "
	"grep -qiE 'no crontab|no such file' \"$t.new\" || { cat \"$t.new\" >&2; exit 1; }; : "
	">\"$t\"; fi; "
	"{ grep -vF -e \"$run\" \"$t\" | grep -vxF -e \"# deploy $key begin\" -e \"# "
	"deploy $key end\"; "
	"cat; } >\"$t.new\"; crontab \"$t.new\"";

static void entry_id(const struct config *c, const struct config_role *role,
	const struct config_cron *cron, char out[CRON_ID_HEX + 1])
{
	char hex[DIGEST_HEX_SIZE];
	CLEANUP_FREE char *key = names_service_key(c);
	CLEANUP_FREE char *text = xasprintf("%s\n%s\n%s", key, role->name, cron->cmd);
	digest_sha256_hex(text, strlen(text), hex);
	snprintf(out, CRON_ID_HEX + 1, "%.*s", CRON_ID_HEX, hex);
}

void cron_labels(const struct config *c, const struct config_role *role,
	const struct config_cron *cron, struct strmap *labels)
{
	char id[CRON_ID_HEX + 1];
	entry_id(c, role, cron, id);
	strmap_set(labels, LABEL_CRON, cron->schedule);
	strmap_set(labels, LABEL_CRON_ID, id);
	strmap_set(labels, LABEL_CRON_COMMAND, cron->cmd);
}

bool cron_is_job(const struct docker_container_entry *c)
{
	return strmap_get(&c->labels, LABEL_CRON) != NULL;
}

const struct docker_container_entry *cron_container(const struct target *t, const char *name)
{
	VEC_FOREACH (&t->seen.containers, i) {
		if (str_eq(t->seen.containers.p[i].name, name)) {
			return &t->seen.containers.p[i];
		}
	}
	return NULL;
}

bool cron_is_host(const struct deployment *d, const struct target *t)
{
	VEC_FOREACH (&d->config->roles, i) {
		const struct config_role *role = &d->config->roles.p[i];
		if (role->crons.len > 0 && role->hosts.len > 0 &&
			str_eq(role->hosts.p[0].name, t->address->name)) {
			return true;
		}
	}
	return false;
}

static char *script_path(const struct deployment *d, const struct target *t)
{
	CLEANUP_FREE char *key = names_service_key(d->config);
	return xasprintf("%s/%s/cron-run", t->host->state_dir, key);
}

/* -- Reading -- */

static void take_line(struct observation *seen, const char *path, const char *line, size_t len)
{
	CLEANUP_FREE char *text = xstrndup(line, len);
	char *name = text[0] != '#' && strstr(text, path) ? cron_line_name(text) : NULL;
	if (name) {
		strvec_push(&seen->schedule, name);
		strvec_push(&seen->schedule_lines, text);
		free(name);
	}
}

int cron_look(struct deployment *d, struct target *t, struct error *err)
{
	CLEANUP_STR struct str out = STR_INIT(CRONTAB_MAX);
	CLEANUP_FREE char *path = script_path(d, t);
	int status = 0;
	if (!t->seen.cron_installed && !t->seen.backups_installed && !cron_is_host(d, t) &&
		!backup_schedule_is_host(d, t)) {
		return 0;
	}
	if (ssh_run(t->host->ssh, look_script, NULL, 0, &out, NULL, CRON_TIMEOUT_MS, &status, err) <
		0) {
		return error_wrap(err, "read the crontab");
	}
	const char *p = str_c(&out);
	t->seen.cron = str_starts(p, "runs")      ? CRON_RUNS
		       : str_starts(p, "stopped") ? CRON_STOPPED
						  : CRON_MISSING;
	while ((p = strchr(p, '\n')) != NULL && *++p) {
		take_line(&t->seen, path, p, strcspn(p, "\n"));
		backup_schedule_take(d, t, p, strcspn(p, "\n"));
	}
	return 0;
}

int cron_check(struct deployment *d, const struct plan *plan, struct error *err)
{
	VEC_FOREACH (&plan->steps, i) {
		const struct plan_step *s = &plan->steps.p[i];
		bool jobs = s->kind == STEP_SCHEDULE && s->names.len > 0;
		bool backups = s->kind == STEP_BACKUPS && s->accessory;
		if ((!jobs && !backups) || d->targets[s->host].seen.cron != CRON_MISSING) {
			continue;
		}
		error_set(err, ERROR_REMOTE,
			backups ? "there is no cron to back up accessory '%s'"
				: "there is no cron to run the jobs of '%s'",
			backups ? s->name : s->names.p[0]);
		(void)error_hint(err, "on the server: apt-get install cron");
		return error_host(err, d->targets[s->host].address->name);
	}
	return 0;
}

/* -- Lines -- */

char *cron_line(const struct deployment *d, const struct target *t, const char *container,
	const struct strmap *labels)
{
	CLEANUP_STR struct str line = STR_INIT(STR_MAX_LINE);
	CLEANUP_FREE char *path = script_path(d, t);
	str_addf(&line, "%s ", strmap_get(labels, LABEL_CRON));
	ssh_quote(&line, path);
	str_addf(&line, " %s %s", container, strmap_get(labels, LABEL_CRON_ID));
	return str_take(&line);
}

/* The last word but one. */
char *cron_line_name(const char *line)
{
	const char *id = strrchr(line, ' ');
	const char *name = id;
	while (name && name > line && name[-1] != ' ') {
		name--;
	}
	return name && id > name && name > line ? xstrndup(name, (size_t)(id - name)) : NULL;
}

/* -- Writing -- */

static int install(struct deployment *d, struct target *t, struct error *err)
{
	CLEANUP_FREE char *path = names_state_path(d->config, "cron-run");
	CLEANUP_FREE char *dir = names_state_path(d->config, ".");
	CLEANUP_FREE char *docker_host =
		t->host->socket ? xasprintf("export DOCKER_HOST=unix://%s\n", t->host->socket)
				: xstrdup("");
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_FILE);
	str_addf(&text, run_script, docker_host);
	if (host_files(t->host, err) < 0) {
		return -1;
	}
	struct sftp_batch *b = sftp_batch_new(t->host->sftp);
	sftp_mkdirs(b, dir, 0700);
	sftp_write(b, path, str_c(&text), text.len, 0700);
	int result = sftp_run(b, CRON_TIMEOUT_MS, err);
	if (result == 0) {
		result = sftp_check(b, err);
	}
	sftp_batch_free(b);
	return result;
}

int cron_write(
	struct deployment *d, struct target *t, const struct strvec *lines, struct error *err)
{
	CLEANUP_FREE char *key = names_service_key(d->config);
	CLEANUP_FREE char *path = script_path(d, t);
	return lines->len > 0 && install(d, t, err) < 0 ? -1
							: crontab_write(t, path, key, lines, err);
}

int crontab_write(struct target *t, const char *path, const char *key, const struct strvec *lines,
	struct error *err)
{
	CLEANUP_STR struct str script = STR_INIT(STR_MAX_LINE);
	CLEANUP_STR struct str quoted_path = STR_INIT(STR_MAX_LINE);
	CLEANUP_STR struct str quoted_key = STR_INIT(STR_MAX_LINE);
	CLEANUP_STR struct str block = STR_INIT(CRONTAB_MAX);
	CLEANUP_STR struct str said = STR_INIT(STR_MAX_LINE);
	int status = 1;
	ssh_quote(&quoted_path, path);
	ssh_quote(&quoted_key, key);
	str_addf(&script, write_script, str_c(&quoted_path), str_c(&quoted_key));
	if (lines->len > 0) {
		str_addf(&block, "# deploy %s begin\n", key);
	}
	VEC_FOREACH (lines, i) {
		str_addf(&block, "%s\n", lines->p[i]);
	}
	if (lines->len > 0) {
		str_addf(&block, "# deploy %s end\n", key);
	}
	if (ssh_run(t->host->ssh, str_c(&script), str_c(&block), block.len, NULL, &said,
		    CRON_TIMEOUT_MS, &status, err) < 0) {
		return error_wrap(err, "write the crontab");
	}
	if (status != 0) {
		return error_set(err, ERROR_REMOTE, "write the crontab: %s", str_c(&said));
	}
	return 0;
}

/* -- Runs -- */

int cron_read(struct deployment *d, struct target *t, struct str *out, struct error *err)
{
	CLEANUP_FREE char *path = names_state_path(d->config, "cron.jsonl");
	if (host_files(t->host, err) < 0) {
		return -1;
	}
	struct sftp_batch *b = sftp_batch_new(t->host->sftp);
	struct sftp_op *op = sftp_read(b, path, RUNS_MAX);
	int result = sftp_run(b, CRON_TIMEOUT_MS, err);
	if (result == 0 && op->status == SFTP_OK) {
		str_addn(out, str_c(&op->data), op->data.len);
	}
	sftp_batch_free(b);
	return result;
}

bool cron_last(const struct str *runs, const char *id, struct cron_run *last)
{
	bool found = false;
	for (const char *p = str_c(runs); *p;) {
		size_t len = strcspn(p, "\n");
		struct error ignored = {0};
		CLEANUP_JSON json_t *j = json_parse(p, len, "cron.jsonl", &ignored);
		if (j && str_eq(json_str_at(j, "id", NULL), id)) {
			found = true;
			snprintf(last->started, sizeof(last->started), "%s",
				json_str_at(j, "started", ""));
			snprintf(last->ended, sizeof(last->ended), "%s",
				json_str_at(j, "ended", ""));
			last->exit_code = (int)json_int_at(j, "exit", -1);
		}
		p += len + (p[len] == '\n');
	}
	return found;
}
