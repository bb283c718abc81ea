/** What only this repository needs stays out of the published manifests. */
const beforePacking = ({ devDependencies: _development, scripts: _tasks, ...published }) => published

export const hooks = { beforePacking }
