"""Real boards: where they are on USB, what is the matter with them, firmware and models onto them."""
