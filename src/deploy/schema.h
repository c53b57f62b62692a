/* SPDX-License-Identifier: MIT */
/* A rollback and the database's schema: release.rollback_command. */
#pragma once

#include "deploy/operations.h"
#include "deploy/plan.h"
#include "internal.h"

/*
 * Tells how the schema stands between req->left and req->back_to, asks where that is to be asked,
 * and sets req->undo to the command that is to be run (borrowed of the history or the manifest).
 */
ERROR_CHECKED int schema_choose(struct deployment *d, const struct rollback_options *options,
	struct plan_request *req, struct error *err);
