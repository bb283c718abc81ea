import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts"],
    // Nothing here has a state to share.
    isolate: false,
    // The longest, over 100,000 addresses, takes two seconds, and several times that on a busy machine.
    testTimeout: 120_000
  }
})
