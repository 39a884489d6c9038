#!/usr/bin/env bash
# Builds the documents as a site with mdBook, in target/book. Links to files that are not part of the site lead to the
# repository.
set -euo pipefail
cd "$(dirname "$0")/.."
source=target/book-source
rm -rf "$source"
mkdir -p "$source"
cp -r docs "$source/docs"
cp book.toml "$source/"
sed 's|](docs/|](|g' README.md >"$source/docs/README.md"
sed -i 's|](../README.md)|](README.md)|' "$source/docs/SUMMARY.md"
# The README is at the root of the repository, the others one directory below it.
sed -i 's|](deploy/|](https://github.com/imgarch/imgarch/blob/main/deploy/|g' "$source/docs/README.md"
find "$source/docs" -maxdepth 1 -name '*.md' ! -name README.md ! -name SUMMARY.md -exec \
  sed -i 's|](\.\./|](https://github.com/imgarch/imgarch/blob/main/|g' {} +
mdbook build --dest-dir "$PWD/target/book" "$source"
# The README is not in docs/, so its "edit" link needs another path.
sed -i 's|/edit/main/docs/README.md|/edit/main/README.md|g' target/book/*.html
