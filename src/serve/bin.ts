#!/usr/bin/env node
/**
 * The command `pawl`: checks the version of Node.js before anything is imported that an older one cannot read.
 * Compiled code is kept between commands, which halves the time to start.
 */
const NODE_MAJOR_MIN = 24;
const TOO_OLD = "PAWL_NODE_TOO_OLD";

if (Number(process.versions.node.split(".")[0]) < NODE_MAJOR_MIN) {
  process.stderr.write(
    `${TOO_OLD} this is Node.js ${process.versions.node}; pawl needs ${NODE_MAJOR_MIN} or newer\nnext: install it from https://nodejs.org\n`,
  );
  process.exitCode = 2;
} else {
  const { enableCompileCache } = await import("node:module");
  enableCompileCache();
  const { main } = await import("./cli.ts");
  await main(process.argv);
}
