from .frame import choose

row_wise_forward = choose("row_wise_forward", 9, 0, [lambda f, *a: None])
row_wise_backward = choose("row_wise_backward", 11, 0, [lambda f, *a: None])
vector_backward = choose("vector_backward", 7, 0, [lambda f, *a: None])
