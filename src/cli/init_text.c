/* SPDX-License-Identifier: MIT */
/* The texts that `deploy init` writes. Every key in the manifest loads as it stands there. */
#include "internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SERVICE_NAME_MAX 63

char *init_service_name(const char *folder)
{
	struct str name = STR_INIT(SERVICE_NAME_MAX);

	for (const char *s = folder; *s != '\0' && name.len + 1 < SERVICE_NAME_MAX; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x80 && isalnum(c)) {
			str_addc(&name, (char)tolower(c));
		} else if (name.len > 0 && str_c(&name)[name.len - 1] != '-') {
			str_addc(&name, '-');
		}
	}
	char *result = str_take(&name);
	size_t len = strlen(result);

	while (len > 0 && result[len - 1] == '-') {
		result[--len] = '\0';
	}
	if (len == 0) {
		free(result);
		return xstrdup("app");
	}
	return result;
}

/* "EXPOSE 80/tcp 443": the first port on the line; 0 when it is a variable. */
static int exposed_on_line(const char *line)
{
	long port;

	line += strspn(line, " \t");
	if (strncasecmp(line, "EXPOSE", 6) != 0 || (line[6] != ' ' && line[6] != '\t')) {
		return 0;
	}
	line += 6 + strspn(line + 6, " \t");
	CLEANUP_FREE char *digits = xstrndup(line, strspn(line, "0123456789"));

	return str_to_long(digits, 1, 65535, &port) == 0 ? (int)port : 0;
}

int init_exposed_port(const char *dockerfile)
{
	int port = 0;

	while (*dockerfile != '\0') {
		size_t len = strcspn(dockerfile, "\n");
		CLEANUP_FREE char *line = xstrndup(dockerfile, len);
		int found = exposed_on_line(line);

		port = found != 0 ? found : port;
		dockerfile += len + (dockerfile[len] == '\n');
	}
	return port;
}

void init_manifest_text(const struct init_facts *facts, struct str *out)
{
	int port = facts->app_port != 0 ? facts->app_port : 3000;
	const char *why = facts->port_from_image ? "EXPOSE in the Dockerfile"
						 : "where the application listens in its container";

	str_addf(out,
		"# What runs where. All keys: deploy-manifest(5). What it comes to: deploy "
		"config.\n"
		"service: %s\n"
		"\n"
		"# A bare name needs no registry: the image travels over SSH, missing layers "
		"only.\n"
		"image: %s\n"
		"# registry: {server: ghcr.io, username: acme, password: [REGISTRY_PASSWORD]}\n"
		"\n"
		"servers:\n"
		"  web:\n"
		"    hosts:\n"
		"      - 192.0.2.10               # your server: address, name, or ssh alias\n"
		"    # replicas: 2                # containers on each server, balanced by the "
		"proxy\n"
		"    # options: {memory: 1g, cpus: 2}\n"
		"\n"
		"proxy:\n"
		"  driver: caddy                  # or nginx\n"
		"  app_port: %-20d # %s\n"
		"  ssl: false                     # true: certificates by themselves, once host "
		"has DNS\n"
		"  # host: %s.example.com\n"
		"  healthcheck: {path: /up}       # has to answer 200 before a release gets "
		"traffic\n"
		"\n"
		"# builder:\n"
		"#   args: {VERSION: \"1.0\"}\n"
		"#   target: production\n"
		"\n"
		"# release:\n"
		"#   command: bin/rails db:migrate  # once a push, before any new container "
		"starts\n"
		"\n"
		"env:\n"
		"  clear:\n"
		"    PORT: \"%d\"\n"
		"  # secret: [DATABASE_URL]       # names; their values are in .deploy/secrets\n"
		"\n"
		"# ssh: {user: deploy, port: 22}  # default: what 'ssh HOST' would use\n",
		facts->service, facts->service, port, why, facts->service, port);
}

const char init_secrets_text[] =
	"# Secrets of this service, NAME=value. Not in git: keep it that way.\n"
	"# $(command) takes the value from a password manager, $NAME from the environment:\n"
	"#\n"
	"# DATABASE_URL=$(pass show example/database-url)\n"
	"# REGISTRY_PASSWORD=$REGISTRY_PASSWORD\n"
	"#\n"
	"# 'deploy secrets fetch' asks 1Password, Bitwarden, Vault and others; an encrypted\n"
	"# file that can be in git is made by 'deploy secrets edit'. See deploy-secrets(1).\n";

#define HOOK_HEAD                                                                                  \
	"#!/bin/sh\n"                                                                              \
	"# A sample: take .sample off its name, and it runs. Not 0 ends the command.\n"            \
	"# It gets DEPLOY_VERSION, DEPLOY_HOSTS and more: see deploy-hooks(7).\n"

const struct init_hook init_hooks[] = {
	{"pre-build",
		HOOK_HEAD "# Here: refuse a commit that is not on the server of the team.\n"
			  "test -n \"$(git branch -r --contains HEAD)\" ||\n"
			  "\t{ echo \"push the commit to the remote first\" >&2; exit 1; }\n"},
	{"pre-deploy", HOOK_HEAD "# Here: nothing on a Friday evening.\n"
				 "test \"$(date +%u%H)\" -lt 516 || test \"$(date +%u)\" -gt 5 ||\n"
				 "\t{ echo \"not on a Friday evening\" >&2; exit 1; }\n"},
	{"post-deploy", HOOK_HEAD "echo \"$DEPLOY_PERFORMER deployed $DEPLOY_SERVICE "
				  "$DEPLOY_VERSION in $DEPLOY_RUNTIME s\"\n"},
	{"deploy-failed",
		HOOK_HEAD "echo \"$DEPLOY_SERVICE: the deploy of $DEPLOY_VERSION failed\"\n"},
	{NULL, NULL},
};
