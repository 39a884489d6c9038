//! The graph of a function's blocks.

/// The edges of a graph, sorted by the node that they start from.
pub struct Edges {
    /// The index in `to` of each node's first edge.
    first: Vec<usize>,
    to: Vec<usize>,
}

impl Edges {
    /// Each edge is a pair of nodes, the one that it starts from first.
    pub fn new(nodes: usize, edges: impl Iterator<Item = (usize, usize)> + Clone) -> Edges {
        let mut first = vec![0; nodes + 1];
        edges.clone().for_each(|(from, _)| first[from + 1] += 1);
        for node in 0..nodes {
            first[node + 1] += first[node];
        }
        let (mut free, mut to) = (first.clone(), vec![0; first[nodes]]);
        for (from, node) in edges {
            to[free[from]] = node;
            free[from] += 1;
        }
        Edges { first, to }
    }

    fn starting(&self, node: usize) -> &[usize] {
        &self.to[self.first[node]..self.first[node + 1]]
    }
}

/// The nodes that are reachable from `root`, each after those that are reachable from it.
pub fn post_order(root: usize, edges: &Edges) -> Vec<usize> {
    let (mut order, mut seen, mut stack) = (Vec::new(), vec![false; edges.first.len() - 1], vec![(root, 0)]);
    seen[root] = true;
    while let Some((node, child)) = stack.pop() {
        match edges.starting(node).get(child) {
            Some(next) => {
                stack.push((node, child + 1));
                if !seen[*next] {
                    seen[*next] = true;
                    stack.push((*next, 0));
                }
            }
            None => order.push(node),
        }
    }
    order
}
