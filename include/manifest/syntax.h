/* SPDX-License-Identifier: MIT */
/*
 * What single values may look like.  Every check takes a text and returns NULL when it is right,
 * else what is wrong as a static text that goes on from "'<text>' ": "has a space in it".  All are
 * pure and refuse what could be taken for an option (leading '-') or leave a folder ('/', "..").
 */
#pragma once

#include "util/vec.h"

#include <stdbool.h>
#include <stdint.h>

/* [A-Za-z0-9][A-Za-z0-9_-]*, at most 63: services, roles, destinations, accessories. */
const char *syntax_name(const char *s);
/* What can be a Docker tag: [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}, without "..". */
const char *syntax_version(const char *s);
/* "[user@]host[:port]": name, IPv4, IPv6 (in brackets with a port), ssh alias. */
const char *syntax_server(const char *s);
/* Parts of a valid syntax_server(); `user` NULL and `port` 0 when not there. The caller frees. */
void syntax_server_split(const char *s, char **user, char **host, int *port);
/* DNS name for routing, "*.example.com" too. */
const char *syntax_domain(const char *s);
const char *syntax_ip(const char *s);
/* Image name without tag and digest, and with: the distribution project's reference grammar. */
const char *syntax_repository(const char *s);
const char *syntax_image(const char *s);
const char *syntax_registry(const char *s); /* "host[:port]" */

const char *syntax_env_name(const char *s);    /* [A-Za-z_][A-Za-z0-9_.-]* */
const char *syntax_secret_name(const char *s); /* [A-Za-z_][A-Za-z0-9_]* */
const char *syntax_secret_ref(const char *s);  /* NAME or ALIAS:NAME */
const char *syntax_label(const char *s);       /* key of a label; reserved ones refused */
const char *syntax_word(const char *s);        /* no blank, no control character, no leading '-' */
const char *syntax_line(const char *s);        /* one line without control characters, not empty */
const char *syntax_text(const char *s);        /* not empty */
const char *syntax_command(const char *s);     /* words as syntax_words() splits them */
const char *syntax_alias(const char *s);       /* [a-z0-9_-]+ */
const char *syntax_header(const char *s);      /* HTTP field name */
const char *syntax_log_header(const char *s);  /* one that may stand in a log */
const char *syntax_cookie(const char *s);      /* name of a cookie and of a variable */
const char *syntax_response_header(const char *s); /* one that a proxy may set */
const char *syntax_header_value(
	const char *s); /* one that no proxy's configuration takes for more than text */
const char *syntax_rate(const char *s);           /* "10/s", "5/m"; see syntax_rate_of() */
const char *syntax_user(const char *s);           /* login name */
const char *syntax_number_version(const char *s); /* 2, 2.1, 2.1.0 */

const char *syntax_path_inside(const char *s); /* relative, stays inside of its folder */
const char *syntax_path_relative(
	const char *s);                 /* relative; ".." is judged by who knows the root */
const char *syntax_path(const char *s); /* of this machine: absolute, relative or ~/ */
const char *syntax_path_absolute(const char *s); /* in a container: absolute, normal */
const char *syntax_asset_path(const char *s);    /* the same with ":options" */
const char *syntax_volume(const char *s);        /* name:/path[:opts] or /host:/path[:opts] */
const char *syntax_url_path(const char *s);      /* "/up?x=1" */
const char *syntax_path_prefix(const char *s);   /* "/api" */
const char *syntax_ssh_url(const char *s);       /* ssh://[user@]host[:port] */
const char *syntax_jump(const char *s);          /* [user@]host[:port][,...] */
const char *syntax_tag_template(const char *s);  /* a tag with {sha} {branch} {version} in it */
const char *syntax_port_mapping(const char *s);  /* [ip:][host:]container[/tcp|udp] */
const char *syntax_limit(const char *s);         /* 3 or 25% */
const char *syntax_ratio(const char *s);         /* 0, 0.25, 1 */
const char *syntax_url(const char *s);           /* http:// or https://, no login in it */
const char *syntax_email(const char *s);         /* name@domain, or "Name <name@domain>" */
const char *syntax_host_port(const char *s);     /* host[:port] */
const char *syntax_owner(const char *s);         /* user[:group], names or numbers */
const char *syntax_backup_to(const char *s);     /* server, folder, ssh://, s3:// */
/* hourly, daily, weekly, monthly (with or without @), or five fields of crontab(5). */
const char *syntax_schedule(const char *s);
const char *syntax_mode(const char *s); /* 0644 */

/* "10" (seconds), "10s", "2m", "1h", "500ms", "1.5s": ms, or -1. */
int64_t syntax_duration(const char *s);
/* "1024", "512k", "1g", "1.5g", "40_000_000": bytes, or -1. */
int64_t syntax_size(const char *s);
/* Decimal, "_" between digits allowed; no sign but '-', no other base: 0, else -1. */
/* What syntax_rate() found good. */
void syntax_rate_of(const char *s, int *requests, bool *per_minute);
int syntax_integer(const char *s, int64_t *out);
/* true/false, yes/no, on/off as YAML 1.1 has them: 1, 0, or -1 when it is none. */
int syntax_bool(const char *s);

/*
 * Splits like a shell does, without anything else of a shell: '..' literal, ".." with \ before
 * " \ $ `, \ elsewhere; appends to `out`. NULL, or what is wrong.
 */
const char *syntax_words(const char *s, struct strvec *out);

/* The five fields that a schedule means. Borrowed of `s`, or constant. */
/* The longest time between two runs; 0: there is none (30 February). Of valid fields. */
int64_t syntax_schedule_gap_ms(const char *fields);
const char *syntax_schedule_fields(const char *s);
