import { defineConfig } from "vitest/config"

// The longest of them, with 100,000 addresses, takes three seconds; on a busy machine several times that.
export default defineConfig({ test: { include: ["src/**/*.test.ts"], testTimeout: 120_000 } })
