import { OpenApi } from "effect/http-api"
import { Generation1 } from "./Generation1.ts"
import { Generation2 } from "./Generation2.ts"

/** The OpenAPI 3.1 document of generation 1: the same value each time, for a file that is checked against it. */
export const openApiGeneration1 = (): OpenApi.OpenAPISpec => OpenApi.fromApi(Generation1)

/** The same of generation 2. */
export const openApiGeneration2 = (): OpenApi.OpenAPISpec => OpenApi.fromApi(Generation2)
