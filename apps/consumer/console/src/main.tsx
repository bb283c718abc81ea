import { render } from "preact"
import { ConsoleApp } from "./ConsoleApp.tsx"
import { connect } from "./Live.ts"

const root = document.getElementById("console")
if (root !== null) {
  render(<ConsoleApp />, root)
  connect()
}
