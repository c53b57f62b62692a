/* SPDX-License-Identifier: MIT */
/* Where backups lie: the accessory's server, this machine, or another server. */
#include "backup.h"

#include <stdlib.h>
#include <string.h>

void backup_place_close(struct backup_place *p)
{
	host_close(p->host);
	free(p->dir);
	memset(p, 0, sizeof(*p));
}

/* A login of its own over there, with the settings under `ssh:`. */
static int connect_elsewhere(struct deployment *d, const struct config_accessory *a,
	struct backup_place *p, struct error *err)
{
	struct host_request req = {
		.name = a->backup.server.name,
		.address = &a->backup.server,
		.ssh = &d->config->ssh,
		.key_data = &d->ssh_keys,
		.fabric = deployment_fabric(d),
		.ui = d->ui,
		.shell_only = true,
	};
	p->host = host_connect(&req, err);
	return p->host ? 0 : error_wrap(err, "reach the backups of '%s'", a->name);
}

int backup_place_open(struct deployment *d, struct target *t, const struct config_accessory *a,
	struct backup_place *p, struct error *err)
{
	CLEANUP_FREE char *key = names_service_key(d->config);
	memset(p, 0, sizeof(*p));
	switch (a->backup.place) {
	case CONFIG_BACKUP_LOCAL:
		p->dir = xasprintf("%s/%s/%s/%s", a->backup.to, key, a->name, t->address->name);
		break;
	case CONFIG_BACKUP_SSH:
		p->dir = xasprintf("%s/%s/%s/%s", a->backup.folder, key, a->name, t->address->name);
		if (connect_elsewhere(d, a, p, err) < 0) {
			backup_place_close(p);
			return -1;
		}
		p->store.host = p->host;
		break;
	case CONFIG_BACKUP_S3:
		p->dir = xasprintf("%s%s%s/%s/%s", a->backup.folder, *a->backup.folder ? "/" : "",
			key, a->name, t->address->name);
		p->s3 = (struct s3){.endpoint = a->backup.s3_endpoint,
			.region = a->backup.s3_region,
			.bucket = a->backup.to,
			.access_key = secret_map_get(&d->secrets, a->backup.s3_access_key_secret),
			.secret_key = secret_map_get(&d->secrets, a->backup.s3_secret_key_secret)};
		p->store.s3 = &p->s3;
		break;
	case CONFIG_BACKUP_SERVER:
		p->dir = xasprintf("%s/%s/backups/%s", HOST_STATE_DIR, key, a->name);
		p->store.host = t->host;
		break;
	}
	p->store.dir = p->dir;
	p->store.key =
		a->backup.key_secret ? secret_map_get(&d->secrets, a->backup.key_secret) : NULL;
	return 0;
}
