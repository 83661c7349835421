export const title = "Bloom levels";
export function render(root) { root.append("Soon."); }
