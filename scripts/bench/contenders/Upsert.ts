import { type Answer, bodyOf, headers, type Request, urlOf } from "./Request.ts"

/** One call with Node's own fetch, whose connections are kept alive. */
export const upsert = async (request: Request): Promise<Answer> => {
  const response = await fetch(urlOf(request), { method: "PATCH", headers, body: bodyOf(request) })
  if (!response.ok) throw new Error(`The API answered ${response.status}`)
  return response.json() as Promise<Answer>
}
