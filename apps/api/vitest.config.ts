import { defineConfig } from "vitest/config"

// Starting the program takes a second, and more on a machine with other work; nothing here should ever reach these.
export default defineConfig({ test: { include: ["src/**/*.test.ts"], testTimeout: 60_000, hookTimeout: 60_000 } })
