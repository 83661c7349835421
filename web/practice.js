export const title = "Practise";
export function render(root) { root.append("Soon."); }
