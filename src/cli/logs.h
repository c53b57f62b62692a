/* SPDX-License-Identifier: MIT */
/* The options that `app logs` and `proxy logs` share; values are struct logs_options. */
#pragma once

#include "internal.h"

#include "deploy/operations.h"

extern const struct cli_option cli_logs_options[];
