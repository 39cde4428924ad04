/** The whole client and its elements, for pages without a bundler: `Hub` by a script tag, or a module. */
export * from "./index";
export * from "./streams";
export * from "./ui/index";
