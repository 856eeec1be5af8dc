#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The main job, on a private sandbox: plan, apply under load, the plan again, and the log with the measured effect.
# It may be stopped anywhere and started again.
set -eu
cd "$(dirname "$0")/.."
retune=.venv/bin/retune
load=

say() { printf '\n=== %s\n' "$*"; }
finish() { [ -z "$load" ] || kill "$load" 2>/dev/null || true; }
trap finish EXIT
trap 'exit 130' INT TERM

say "The sandbox: PostgreSQL, PgBouncer, Redis and an nginx edge, untuned"
$retune sandbox up
$retune sandbox load --seconds 60 >/dev/null &
load=$!

say "The plan: what apply will change"
# 2 says that something differs, which is what an untuned sandbox is for.
$retune plan sandbox --allow-restart || [ $? -eq 2 ]

say "Apply, under load, measured before and after"
$retune apply sandbox --yes --allow-restart

say "The plan again: nothing is left"
$retune plan sandbox --allow-restart

say "The performance log"
$retune log sandbox --last 1
say "The sandbox is still up: try retune drift sandbox; retune sandbox down ends it"
