/* SPDX-License-Identifier: MIT */
/* error_pages_path: pages of the release's commit that the proxy shows for its own errors. */
#include "run.h"

#include "util/fs.h"

#include <string.h>

/* Of the commit; of the folder where the version is none. */
static bool read_page(const struct run *r, const char *name, struct str *out)
{
	const struct config *c = r->d->config;
	struct error ignored = {0};
	size_t n = c->git_root ? strlen(c->git_root) : 0;
	if (r->release.commit && *r->release.commit && r->d->source && n > 0 &&
		strncmp(c->error_pages_path, c->git_root, n) == 0) {
		const char *below = c->error_pages_path + n;
		CLEANUP_FREE char *path = xasprintf("%s/%s", below + (*below == '/'), name);
		return source_read(r->d->source, r->release.commit, path, out) == 1;
	}
	CLEANUP_FREE char *path = xasprintf("%s/%s", c->error_pages_path, name);
	return fs_read(path, out, &ignored) == 0;
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
