#!/usr/bin/env node
import { startFrugally } from "./FrugalStart.ts"

// Before anything large is loaded, as this process may begin anew.
startFrugally()
await import("./Program.ts")
