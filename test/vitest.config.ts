import { defineConfig } from "vitest/config";

const conditions = ["pawl-source", "node", "import", "module", "default"];
/** They put other modules in the place of pawl's, or measure. */
const ALONE = ["test/run/conformance-planted.test.ts", "test/run/recovery.test.ts", "test/serve/shapes-look.test.ts", "test/bench/bench.test.ts"];

export default defineConfig({
  root: new URL("..", import.meta.url).pathname,
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    restoreMocks: true,
    // Processes that tests start find their modules compiled.
    env: { NODE_COMPILE_CACHE: new URL("../node_modules/.cache/compiled", import.meta.url).pathname },
    projects: [
      { extends: true, test: { name: "alone", include: ALONE } },
      // All others share two processes, in which every module is loaded once: what helpers do when a test ends they say within
      // a function that tests call, since a hook of a module would be that of the first file only.
      { extends: true, test: { name: "together", include: ["test/**/*.test.ts"], exclude: ALONE, isolate: false } },
    ],
  },
  resolve: { conditions },
  ssr: { resolve: { conditions } },
});
