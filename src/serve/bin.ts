#!/usr/bin/env node
/**
 * The command `pawl`: checks the version of Node.js before anything is imported that an older one cannot read.
 */
const NODE_MAJOR_MIN = 24;

if (Number(process.versions.node.split(".")[0]) < NODE_MAJOR_MIN) {
  process.stderr.write(
    `PAWL_NODE_TOO_OLD this is Node.js ${process.versions.node}; pawl needs ${NODE_MAJOR_MIN} or newer\nnext: install it from https://nodejs.org\n`,
  );
  process.exitCode = 2;
} else {
  const { main } = await import("./cli.ts");
  await main(process.argv);
}
