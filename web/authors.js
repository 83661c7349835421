export const title = "Authors";
export function render(root) { root.append("Soon."); }
