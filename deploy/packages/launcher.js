#!/usr/bin/env node
// Starts the binary of this platform's package, which npm installs as an optional dependency.
"use strict";
const { spawnSync } = require("node:child_process");

const name = `@imgarch/${process.platform}-${process.arch}`;
let program;
try {
  program = require.resolve(`${name}/bin/imgarch`);
} catch {
  console.error(`error: the npm package ${name} is not installed`);
  console.error("hint: install without --omit=optional; for other platforms: cargo install imgarch");
  process.exit(2);
}
// The terminal sends its signals to the binary too, which ends in its own way.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});
const { status, signal, error } = spawnSync(program, process.argv.slice(2), { stdio: "inherit" });
if (error) {
  console.error(`error: starting ${program}: ${error.message}`);
  process.exit(3);
}
if (signal) {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}
process.exitCode = status;
