/* SPDX-License-Identifier: MIT */
/* Accessories and their backups as the manifest has them; see manifest/config.h. */
#pragma once

#include "manifest/config_types.h"

#define CONFIG_FILE_MAX ((size_t)1 << 20) /* bytes of a file that is placed */

/* A file or folder that is placed on the server and mounted. */
struct config_file {
	const char *local;   /* file: absolute path here; folder: NULL */
	const char *remote;  /* absolute path in the container */
	const char *mode;    /* octal digits, or NULL */
	const char *owner;   /* "uid[:gid]" or names of the image, or NULL */
	const char *options; /* of the mount: "ro,z", or NULL */
	bool expand;         /* ${VAR} in the file is put in ("x.erb" is refused) */
	struct config_mark mark;
};
VEC_TYPE(config_files, struct config_file);

enum config_backup_kind {
	CONFIG_BACKUP_POSTGRES, /* pg_dump -Fc */
	CONFIG_BACKUP_MYSQL,    /* mysqldump --single-transaction; mariadb too */
	CONFIG_BACKUP_MARIADB,
	CONFIG_BACKUP_REDIS,  /* the RDB file of a BGSAVE */
	CONFIG_BACKUP_COMMAND /* `command` writes it to its stdout, `restore` reads its stdin */
};

enum config_backup_place {
	CONFIG_BACKUP_SERVER, /* ~/.deploy/<service>/backups/<accessory>/ on the accessory's host */
	CONFIG_BACKUP_LOCAL,  /* a folder here: cannot be scheduled */
	CONFIG_BACKUP_SSH,    /* a folder of another server */
	CONFIG_BACKUP_S3
};

struct config_backup {
	bool enabled; /* there is a `backup:` */
	enum config_backup_kind kind;
	const char *database, *user;            /* NULL: as the image's variables say */
	const char *command, *restore, *verify; /* COMMAND: each given to sh -c in the container */
	const char *schedule;                   /* five fields of cron, or NULL: by hand only */
	int keep_days;                          /* default 30; the newest is never deleted */
	int timeout_ms;                         /* default 1 h */
	enum config_backup_place place;
	const char *to; /* LOCAL: absolute folder; SSH: "[user@]host[:port]"; S3: bucket */
	struct config_host server;           /* SSH: the same, split */
	const char *folder;                  /* SSH: absolute folder; S3: prefix, may be "" */
	const char *s3_endpoint, *s3_region; /* "https://host[:port]"; default AWS */
	const char *s3_access_key_secret, *s3_secret_key_secret;
	const char *key_secret; /* it is encrypted with this secret, or NULL */
	struct config_mark mark;
};

struct config_accessory {
	const char *name;      /* "db" */
	const char *container; /* name of its container: `service:`, or "<service>-<name>" */
	const char *image;     /* with the server of its own registry, when it has one */
	struct config_registry registry; /* its own login; not enabled: the manifest's */
	const char *family; /* "postgres", "mysql", "mariadb", "redis" by its image, or NULL */
	struct config_hosts hosts; /* of host, hosts, role(s) or tag(s), each once */
	const char *cmd;           /* NULL: the image's; words, no shell */
	struct strvec ports;       /* "address:port:port", each with an address */
	struct config_env env;     /* its own only, not the service's */
	struct config_options options;
	struct strmap labels;
	struct strvec
		volumes; /* "name:/path[:ro]" or "/host:/path"; files, directories are apart */
	struct config_files files, directories;
	struct config_network_ptrs networks; /* at least one */
	const char *network;                 /* the first, in Docker; never NULL */
	bool has_health;
	struct config_health health;
	int boot_timeout_ms; /* for the health gate, default 60 s */
	int stop_timeout_ms; /* default 30 s: a database writes its files */
	struct config_logging logging;
	struct config_backup backup;
	struct config_mark mark;
};
VEC_TYPE(config_accessories, struct config_accessory);
