/* SPDX-License-Identifier: MIT */
/*
 * What `docker run` takes, as a struct, and its JSON body.  Zero means "the daemon's default"
 * everywhere.  Pure: nothing here talks to a daemon.
 */
#pragma once

#include "docker/client.h"

struct docker_mount {
	enum { DOCKER_MOUNT_BIND, DOCKER_MOUNT_VOLUME, DOCKER_MOUNT_TMPFS } type;
	char *source; /* path or volume name; NULL for tmpfs or an anonymous volume */
	char *target;
	bool read_only;
	int64_t tmpfs_size; /* bytes, 0 = no limit */
};
VEC_TYPE(docker_mounts, struct docker_mount);

struct docker_port {
	char *host_ip; /* NULL: all addresses */
	int host_port; /* 0: chosen by the daemon */
	int container_port;
	char *protocol; /* NULL: "tcp" */
};
VEC_TYPE(docker_ports, struct docker_port);

struct docker_ulimit {
	char *name;
	int64_t soft, hard;
};
VEC_TYPE(docker_ulimits, struct docker_ulimit);

struct docker_healthcheck {
	struct strvec
		test; /* {"CMD-SHELL", "..."}, {"CMD", ..}, {"NONE"}; empty: the image's own */
	int64_t interval_ms, timeout_ms, start_period_ms;
	int retries;
};

struct docker_container_spec {
	char *name;                    /* required by docker_container_run */
	char *image;                   /* required; an ID pins it */
	struct strvec cmd, entrypoint; /* empty: the image's */
	bool has_entrypoint;           /* entrypoint is given though empty */
	struct strmap env;
	struct secret_map secret_env; /* over env; each value one reference of ours */
	struct strmap labels;
	char *user, *workdir, *hostname, *domainname, *platform, *runtime;
	bool tty, open_stdin, attach; /* attach: AttachStdout/Stderr (and Stdin when open_stdin) */
	char *stop_signal;
	int stop_timeout; /* seconds, 0 = default */
	struct docker_healthcheck healthcheck;

	char *network; /* first network, or "host", "none", "container:x"; NULL: default bridge */
	struct strvec more_networks; /* beside the first; the aliases are for these too */
	struct strvec network_aliases;
	char *ip, *mac_address;
	struct docker_ports ports;
	struct strvec expose; /* "80/tcp" */
	bool publish_all;
	struct strvec dns, dns_search, dns_options, extra_hosts; /* "name:ip" */

	struct docker_mounts mounts;
	struct strvec binds; /* "name-or-/path:/target[:options]" as -v */
	struct strmap tmpfs; /* target -> options ("size=64m") or "" */
	struct strvec volumes_from;

	char *restart;   /* "no", "always", "unless-stopped", "on-failure" */
	int restart_max; /* for on-failure, 0 = no limit */
	bool auto_remove, read_only, privileged;
	bool init, has_init;
	int64_t memory, memory_swap, memory_reservation, shm_size; /* bytes; swap -1 = unlimited */
	int64_t memory_swappiness;                                 /* 0..100; with has_swappiness */
	bool has_swappiness, oom_kill_disable;
	int oom_score_adj;
	double cpus;
	int64_t cpu_shares, cpu_period, cpu_quota;
	char *cpuset_cpus, *cpuset_mems;
	int64_t pids_limit; /* -1 unlimited */
	int blkio_weight;
	struct docker_ulimits ulimits;
	struct strvec cap_add, cap_drop, security_opt, group_add, device_cgroup_rules;
	struct strvec devices; /* "/dev/x[:/dev/y[:rwm]]" */
	char *gpus;            /* "all", "2", "device=0,1" */
	struct strmap sysctls, storage_opt;
	char *ipc, *pid, *uts, *userns, *cgroupns, *cgroup_parent, *isolation;
	char *log_driver; /* NULL: the daemon's */
	struct strmap log_options;
};
void docker_container_spec_fini(struct docker_container_spec *s);
#define CLEANUP_DOCKER_SPEC __attribute__((cleanup(docker_container_spec_fini)))

/*
 * The body of POST /containers/create.  It holds secrets: memory is zeroed by docker_body_fini.
 * Fails (ERROR_MANIFEST) when a value has a NUL or is not UTF-8, which JSON cannot carry.
 */
struct docker_body {
	char *p;
	size_t len;
};
ERROR_CHECKED int docker_container_spec_body(
	const struct docker_container_spec *s, struct docker_body *out, struct error *err);
void docker_body_fini(struct docker_body *b);

/*
 * Sets what the `docker run` option `name` ("memory", "cap-drop", "v", without dashes) with `value`
 * means; a list option is called once per value, and adds.  A boolean option takes "true", "false"
 * or "" (= true).  Fails with ERROR_MANIFEST: unknown (hint "did you mean"), known but not possible
 * here (said why), or a value that is wrong (said what is right).
 */
ERROR_CHECKED int docker_spec_option(
	struct docker_container_spec *s, const char *name, const char *value, struct error *err);

enum docker_option_kind {
	DOCKER_OPTION_UNKNOWN, /* no such option of docker run */
	DOCKER_OPTION_REFUSED, /* there is one, but it belongs to the tool (name, detach, rm, ...)
				*/
	DOCKER_OPTION_BOOL,
	DOCKER_OPTION_VALUE,
	DOCKER_OPTION_LIST,
};
enum docker_option_kind docker_option_kind(const char *name);

/* "64m", "1g", "1.5gb", "1024": bytes, or -1. */
int64_t docker_parse_bytes(const char *text);
/* "1m30s", "500ms", "10" (seconds): ms, or -1. */
int64_t docker_parse_duration(const char *text);
/* -p: "[ip:][host:]container[/proto]", ranges refused; adds to `out`. */
ERROR_CHECKED int docker_parse_port(const char *text, struct docker_ports *out, struct error *err);
