// The default theme, with the fonts that a reader's machine has: nothing is loaded from elsewhere.
import DefaultTheme from "vitepress/theme-without-fonts"
import "./style.css"

export default DefaultTheme
