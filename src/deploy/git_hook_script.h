/* SPDX-License-Identifier: MIT */
/* Shared by installing and running git hooks. */
#pragma once

#include "deploy/git_hook.h"
#include "image/source.h"

/* Reads the script of this kind; *ours: it is there and was made by us. git_hook_fini(out). */
ERROR_CHECKED int git_hook_read(struct git_source *repo, enum git_hook_kind kind,
	struct git_hook *out, bool *ours, struct error *err);
/* Where another's hook is kept. The caller frees. */
char *git_hook_kept(const char *path);
