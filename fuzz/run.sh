#!/bin/sh
# Runs the fuzzer over targets, one after the other: run.sh TRIPLE SECONDS MERGE TARGET...
# What reaches new code is kept in target/fuzz-corpus; with MERGE=1 the least of it that reaches all goes into fuzz/corpus.
set -eu
triple=$1 seconds=$2 merge=$3
shift 3
binary=target/$triple/fuzz/hotfix-fuzz
for target in "$@"; do
	export TARGET="$target"
	kept=fuzz/corpus/$target found=target/fuzz-corpus/$target
	mkdir -p "$kept" "$found"
	if [ -n "$merge" ]; then
		# By edges alone: how often each was passed makes ten times the files and teaches the property test nothing.
		"$binary" -merge=1 -use_counters=0 -max_len=16384 "$kept" "$found" 2>&1 | grep '^MERGE-OUTER' | tail -n 1
		continue
	fi
	log=target/fuzz-corpus/$target.log
	if ! "$binary" -max_total_time="$seconds" -max_len=16384 -timeout=60 -rss_limit_mb=2048 -print_final_stats=1 \
		-dict=fuzz/words.dict -artifact_prefix="target/fuzz-corpus/$target-" "$found" "$kept" >"$log" 2>&1; then
		tail -n 40 "$log"
		exit 1
	fi
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	reached=$(sed -n 's/.*DONE *\(cov: [0-9]* ft: [0-9]* corp: [0-9]*\).*/\1/p' "$log")
	echo "fuzz: target=$target executions=$runs seconds=$seconds $reached"
done
