export const title = "Progress";
export function render(root) { root.append("Soon."); }
