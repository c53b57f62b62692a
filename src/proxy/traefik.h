/* SPDX-License-Identifier: MIT */
/* What the files of the Traefik driver share. */
#pragma once

#include "proxy/driver.h"

#define TRAEFIK_ADDRESS "127.0.0.1:61080" /* entry point `deploy`, in the container */

/* traefik_plugin.go, by src/embed: its lines. */
extern const char *const traefik_plugin_go[];

#define TRAEFIK_FIRST 1000000000 /* priority of what is not of a service */

/* traefik_render.c */
void traefik_main(const struct proxy_main *m, struct str *out);
void traefik_service(const struct proxy_render *r, struct str *out);
void traefik_site(const struct proxy_render *r, const struct proxy_site *site, struct str *out);
