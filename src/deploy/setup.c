/* SPDX-License-Identifier: MIT */
/* setup: Docker on servers that have none, before the first push. */
#include "deploy/setup.h"
#include "deploy/hooks.h"
#include "internal.h"

#include "ssh/exec.h"

#include <stdatomic.h>
#include <string.h>

#define PROBE_TIMEOUT_MS   15000
#define INSTALL_TIMEOUT_MS (15 * 60 * 1000)

/*
 * Says "docker" when there is one, "silent" and the distribution's name when its daemon does not
 * answer this user, else "none" and that name.
 */
static const char probe_script[] =
	"if docker version >/dev/null 2>&1; then echo docker; exit; fi; "
	"if command -v docker >/dev/null 2>&1 || [ -S /var/run/docker.sock ]; then s=silent; "
	"else s=none; fi; "
	". /etc/os-release 2>/dev/null; echo \"$s ${ID:-unknown} ${ID_LIKE:-}\"";

/*
 * As root or by sudo without a password.  The distribution's own package: no stranger's key or
 * script is trusted.  The user gets into the group, which counts from the next login on.
 */
static const char install_script[] =
	"set -e; s=; if [ \"$(id -u)\" != 0 ]; then s='sudo -n'; fi; "
	"export DEBIAN_FRONTEND=noninteractive; "
	"$s apt-get update -q && $s apt-get install -y -q --no-install-recommends docker.io; "
	"if [ \"$(id -u)\" != 0 ]; then $s usermod -aG docker \"$(id -un)\"; fi; "
	"if [ -d /run/systemd/system ]; then $s systemctl enable --now docker; "
	"elif [ ! -S /var/run/docker.sock ]; then $s service docker start; fi; "
	"i=0; until $s docker version >/dev/null 2>&1; do "
	"i=$((i + 1)); [ $i -lt 60 ] || { echo 'dockerd does not answer' >&2; exit 1; }; sleep "
	"0.5; "
	"done";

struct setup {
	bool install;
	atomic_bool installed; /* somewhere: log in anew, since a group was joined */
};

static int install(struct deployment *d, struct target *t, struct error *err)
{
	CLEANUP_STR struct str out = STR_INIT(STR_MAX_REPLY);
	CLEANUP_STR struct str errout = STR_INIT(STR_MAX_REPLY);
	int status = 1;
	ui_step(d->ui, t->host->name, "installing Docker");
	if (ssh_run(t->host->ssh, install_script, NULL, 0, &out, &errout, INSTALL_TIMEOUT_MS,
		    &status, err) < 0) {
		return -1;
	}
	if (status != 0) {
		error_set(err, ERROR_REMOTE, "installing Docker ended with status %d", status);
		(void)error_detail(err, str_c(&errout), errout.len);
		return error_hint(err, "it needs root, or sudo without a password; else install "
				       "the package docker.io by hand");
	}
	ui_done(d->ui, t->host->name, "Docker installed");
	return 0;
}

static int prepare(struct deployment *d, struct target *t, void *ctx, struct error *err)
{
	struct setup *s = ctx;
	CLEANUP_STR struct str out = STR_INIT(STR_MAX_LINE);
	int status = 1;
	if (!t->selected && !t->accessories) {
		return 0;
	}
	if (ssh_run(t->host->ssh, probe_script, NULL, 0, &out, NULL, PROBE_TIMEOUT_MS, &status,
		    err) < 0) {
		return -1;
	}
	if (str_starts(str_c(&out), "docker")) {
		return 0;
	}
	if (str_starts(str_c(&out), "silent") && !s->install) {
		return 0; /* whoever needs it says what is wrong with it */
	}
	bool known = strstr(str_c(&out), "debian") || strstr(str_c(&out), "ubuntu");
	if (!known || !s->install) {
		error_set(err, ERROR_REMOTE, "Docker is not installed");
		return known ? error_hint(err,
				       "deploy setup --install-docker installs it, or on the "
				       "server: sudo apt-get install docker.io")
			     : error_hint(err, "install Docker 20.10 or newer by that "
					       "distribution's own means");
	}
	atomic_store(&s->installed, true);
	return install(d, t, err);
}

static void log_out(struct deployment *d)
{
	for (size_t i = 0; i < d->n; i++) {
		host_close(d->targets[i].host);
		d->targets[i].host = NULL;
	}
	deployment_close_fabric(d);
}

int setup_docker(struct deployment *d, bool install_it, struct error *err)
{
	struct setup s = {.install = install_it};
	if (deployment_reach(d, err) < 0 || deployment_each(d, prepare, &s, err) < 0) {
		return -1;
	}
	if (atomic_load(&s.installed)) {
		log_out(d);
	}
	return hooks_run(d, "docker-setup", NULL, NULL, err);
}
