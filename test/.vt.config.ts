import { defineConfig } from "vitest/config";

export default defineConfig({
  root: new URL("..", import.meta.url).pathname,
  resolve: { conditions: ["pawl-source", "node", "import", "module", "default"] },
  ssr: { resolve: { conditions: ["pawl-source", "node", "import", "module", "default"] } },
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    setupFiles: ["test/.cpu-setup.ts"],
    // Processes that tests start find their modules compiled.
    env: { NODE_COMPILE_CACHE: new URL("../node_modules/.cache/compiled", import.meta.url).pathname },
  },
});
