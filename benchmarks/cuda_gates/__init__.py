"""What is known of CUDA kernels without a GPU: registers, spills, occupancy, the instructions of their loops."""
