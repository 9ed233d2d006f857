var out = new Uint8Array(Math.min(A.length, B.length));
for (var i = 0; i < out.length; i++) out[i] = A[i] ^ B[i];
return out;
