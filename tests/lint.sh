#!/bin/bash
# What a compiler does not find: banned calls, format, includes, generated
# documents, shell scripts; clang-tidy unless called with `quick`. Of clang's
# tools the version that Debian 12 and 13 both have, so that they say the same.
# Needs build/dev (compile commands and the document writers).
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

build=build/dev
bad=0

fail()
{
	printf 'lint: %s\n' "$*"
	bad=1
}

mapfile -t sources < <(git ls-files --cached --others --exclude-standard \
    '*.c' '*.h' | sort)
mapfile -t scripts < <(git ls-files --cached --others --exclude-standard |
    while read -r f; do
	    if [[ -f $f ]] && head -n 1 "$f" | grep -aqE '^#!/bin/(ba)?sh'; then
		    echo "$f"
	    fi
    done)

banned_calls()
{
	local banned='sprintf|vsprintf|strcpy|stpcpy|strcat|strncpy|strncat'

	banned+='|strtok|strtok_r|atoi|atol|atoll|atof|sscanf|gets'
	banned+='|strtol|strtoul|strtoll|strtoull|alloca|tmpnam|mktemp'
	if grep -nE "(^|[^a-zA-Z0-9_.>])($banned) *\(" "${sources[@]}"; then
		fail "banned calls above (see docs/testing.md)"
	fi
}

# A header guards itself by its name, after its folder or not; x.c includes its own x.h first.
includes()
{
	local f guard first

	for f in "${sources[@]}"; do
		if [[ $f == *.h ]]; then
			guard=${f%.h}
			guard=${guard^^}
			guard="SLUICE_(${guard%%/*}_)?${guard##*/}_H"
			grep -qxE "#ifndef $guard" "$f" ||
			    fail "$f: include guard is not $guard"
		elif [[ -f ${f%.c}.h ]]; then
			first=$(grep -m 1 '^#include' "$f")
			[[ $first == "#include \"${f%.c}.h\"" ]] ||
			    fail "$f: does not include its own header first"
		fi
	done
}

generated()
{
	local document=$1
	shift
	if [[ ! -x $1 ]]; then
		fail "$document: $1 is not built"
	elif ! "$@" | cmp -s - "$document"; then
		fail "$document is not what \`$*\` prints"
	fi
}

format()
{
	clang-format-19 --dry-run -Werror "${sources[@]}" ||
	    fail "format: run clang-format-19 -i on the files above"
}

# Remembers by content what was clean: a file is looked at again when it, a
# header or the list of checks has changed.
tidy()
{
	local cache=build/tidy headers todo=() f key

	mkdir -p "$cache"
	headers=$(printf '%s\n' "${sources[@]}" | grep '\.h$' |
	    xargs cat .clang-tidy cmake/flags.cmake tests/lint.sh | sha256sum)
	for f in "${sources[@]}"; do
		[[ $f == *.c ]] || continue
		key=$( (echo "$headers $f" && cat "$f") | sha256sum)
		[[ -e $cache/${key%% *} ]] || todo+=("${key%% *} $f")
	done
	echo "clang-tidy: ${#todo[@]} files to look at"
	[[ ${#todo[@]} -gt 0 ]] || return
	# shellcheck disable=SC2016 # the inner shell expands
	printf '%s\n' "${todo[@]}" | xargs -P "$(nproc)" -L 1 bash -c '
		out=$(clang-tidy-19 --quiet -p "$0" \
		    --extra-arg=-Wno-unknown-warning-option "$3" 2>/dev/null)
		status=$?
		if [[ $status == 0 ]]; then
			touch "$1/$2"
		else
			printf "%s\n" "$out"
		fi
		exit $status' "$build" "$cache" || fail "clang-tidy: see above"
}

banned_calls
includes
format
generated docs/messages.md "$build/bin/sluice-messages"
generated docs/config.md "$build/bin/sluice-messages" config
shellcheck "${scripts[@]}" || fail "shellcheck: see above"
[[ ${1:-} == quick ]] || tidy

if [[ $bad == 0 ]]; then
	echo "lint: clean"
fi
exit "$bad"
