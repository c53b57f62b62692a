/* SPDX-License-Identifier: MIT */
/* Files of the release's commit that the proxy gets: pages for its own errors, directives. */
#include "run.h"

#include "util/fs.h"

#include <string.h>

/* Of the commit; of the folder where the version is none. */
static bool read_file(struct deployment *d, const char *commit, const char *path, struct str *out)
{
	const struct config *c = d->config;
	struct error ignored = {0};
	size_t n = c->git_root ? strlen(c->git_root) : 0;
	if (!commit || !*commit || n == 0 || strncmp(path, c->git_root, n) != 0) {
		return fs_read(path, out, &ignored) == 0;
	}
	if (!d->source) {
		d->source = source_open(c->root, &ignored);
	}
	const char *below = path + n;
	return d->source && source_read(d->source, commit, below + (*below == '/'), out) == 1;
}

static bool read_page(const struct run *r, const char *name, struct str *out)
{
	CLEANUP_FREE char *path = xasprintf("%s/%s", r->d->config->error_pages_path, name);
	return read_file(r->d, r->release.commit, path, out);
}

void error_pages_read(struct run *r)
{
	if (!r->d->config->error_pages_path) {
		return;
	}
	for (size_t i = 0; proxy_page_statuses[i]; i++) {
		CLEANUP_STR struct str text = STR_INIT(PROXY_PAGE_MAX);
		CLEANUP_FREE char *own = xasprintf("%s.html", proxy_page_statuses[i]);
		if (read_page(r, own, &text) || read_page(r, "5xx.html", &text)) {
			strmap_set(&r->pages, proxy_page_statuses[i], str_c(&text));
		}
	}
	if (r->pages.len == 0) {
		ui_warn(r->d->ui, NULL,
			"error_pages_path: version %s has neither 502.html, 503.html, 504.html nor "
			"5xx.html there",
			r->release.version);
	}
}

static char *snippet_key(const char *commit, const char *path)
{
	return xasprintf("%s:%s", commit && *commit ? commit : "", path);
}

const char *snippet_get(const struct run *r, const char *commit, const char *path)
{
	CLEANUP_FREE char *key = snippet_key(commit, path);
	return strmap_get(&r->snippets, key);
}

bool snippet_load(struct run *r, const char *commit, const char *path)
{
	CLEANUP_FREE char *key = snippet_key(commit, path);
	CLEANUP_STR struct str text = STR_INIT(PROXY_SNIPPET_MAX);
	if (strmap_get(&r->snippets, key)) {
		return true;
	}
	if (!read_file(r->d, commit, path, &text)) {
		return false;
	}
	strmap_set(&r->snippets, key, str_c(&text));
	return true;
}

int snippets_read(struct run *r, struct error *err)
{
	for (size_t i = 0; i < r->d->n; i++) {
		const struct config_proxy *p = target_proxy(r->d, &r->d->targets[i]);
		if (!p->snippet || snippet_load(r, r->release.commit, p->snippet)) {
			continue;
		}
		if (!str_eq(r->release.command, "rollback")) {
			return error_set(err, ERROR_MANIFEST,
				"proxy.snippet: version %s has no file '%s', or one of more than "
				"64 KiB",
				r->release.version, p->snippet_name);
		}
		/* A rollback is not refused for a commit that is not here. */
		ui_warn(r->d->ui, NULL,
			"proxy.snippet: '%s' of version %s is not here: what the proxy has stays",
			p->snippet_name, r->release.version);
	}
	return 0;
}
