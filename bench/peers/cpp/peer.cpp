// peer does products and convolutions with OpenBLAS and oneDNN on demand, so that
// bench/peers can measure them in turns with lockstep. It uses one thread.
//
// It reads lines and answers each with one line:
//
//	gemm openblas|onednn M N K TRANSA TRANSB   prepare; answers "ok"
//	conv onednn forward|input|weight N IC OC H W   3 x 3, padding 1; "ok"
//	run SECONDS    do it again and again for twice so long, and so long once more;
//	               answers operations a second of the second time
//
// Convolutions may choose the layout of all their operands; putting operands into
// that layout is not measured. Operands lie in large pages, as those of lockstep do.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include <sys/mman.h>

#include <cblas.h>
#include <oneapi/dnnl/dnnl.hpp>

using namespace dnnl;
using tag = memory::format_tag;
using f32 = std::shared_ptr<float>;

static const auto type = memory::data_type::f32;

struct Work {
	double flops = 0;
	std::function<void()> run;
};

static f32 room(size_t n) {
	const size_t page = 2 << 20, bytes = (4 * n + page - 1) / page * page;
	f32 x(static_cast<float *>(aligned_alloc(page, bytes)), free);
	madvise(x.get(), bytes, MADV_HUGEPAGE);
	memset(x.get(), 0, bytes);
	return x;
}

static f32 numbers(size_t n) {
	f32 x = room(n);
	for (size_t i = 0; i < n; i++) x.get()[i] = float(long(i * 7919 % 2001) - 1000) / 1000;
	return x;
}

static Work gemm(const char *lib, int m, int n, int k, bool ta, bool tb) {
	f32 a = numbers(size_t(m) * k), b = numbers(size_t(k) * n), c = room(size_t(m) * n);
	int lda = ta ? m : k, ldb = tb ? k : n;
	Work w;
	w.flops = 2.0 * m * n * k;
	if (!strcmp(lib, "openblas")) {
		w.run = [=] {
			cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, m, n, k, 1,
				a.get(), lda, b.get(), ldb, 0, c.get(), n);
		};
	} else {
		w.run = [=] { dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, 1, a.get(), lda, b.get(), ldb, 0, c.get(), n); };
	}
	return w;
}

static Work conv(const char *kind, int n, int ic, int oc, int h, int wd) {
	static engine eng(engine::kind::cpu, 0);
	static stream strm(eng);
	auto any = [](memory::dims d) { return memory::desc(d, type, tag::any); };
	auto x = any({n, ic, h, wd}), wt = any({oc, ic, 3, 3}), y = any({n, oc, h, wd});
	memory::dims one = {1, 1};
	auto alg = algorithm::convolution_direct;
	convolution_forward::primitive_desc fwd({prop_kind::forward_training, alg, x, wt, y, one, one, one}, eng);
	Work w;
	w.flops = 2.0 * n * oc * h * wd * ic * 9;
	std::shared_ptr<primitive> p;
	std::vector<std::pair<int, memory::desc>> need;
	if (!strcmp(kind, "forward")) {
		p = std::make_shared<convolution_forward>(fwd);
		need = {{DNNL_ARG_SRC, fwd.src_desc()}, {DNNL_ARG_WEIGHTS, fwd.weights_desc()}, {DNNL_ARG_DST, fwd.dst_desc()}};
	} else if (!strcmp(kind, "input")) {
		convolution_backward_data::primitive_desc d({alg, x, wt, y, one, one, one}, eng, fwd);
		p = std::make_shared<convolution_backward_data>(d);
		need = {{DNNL_ARG_DIFF_SRC, d.diff_src_desc()}, {DNNL_ARG_WEIGHTS, d.weights_desc()}, {DNNL_ARG_DIFF_DST, d.diff_dst_desc()}};
	} else {
		convolution_backward_weights::primitive_desc d({alg, x, wt, y, one, one, one}, eng, fwd);
		p = std::make_shared<convolution_backward_weights>(d);
		need = {{DNNL_ARG_SRC, d.src_desc()}, {DNNL_ARG_DIFF_WEIGHTS, d.diff_weights_desc()}, {DNNL_ARG_DIFF_DST, d.diff_dst_desc()}};
	}
	auto args = std::make_shared<std::unordered_map<int, memory>>();
	std::vector<f32> operands;
	for (auto &d : need) {
		operands.push_back(numbers(d.second.get_size() / 4));
		args->emplace(d.first, memory(d.second, eng, operands.back().get()));
	}
	w.run = [p, args, operands] {
		p->execute(strm, *args);
		strm.wait();
	};
	return w;
}

static double rate(const Work &w, double seconds) {
	using clock = std::chrono::steady_clock;
	auto start = clock::now();
	for (double flops = 0;;) {
		w.run();
		flops += w.flops;
		double d = std::chrono::duration<double>(clock::now() - start).count();
		if (d >= seconds) return flops / d;
	}
}

int main() {
	Work w;
	char line[256], what[32], lib[32];
	while (fgets(line, sizeof line, stdin)) {
		int a, b, c, d, e;
		double seconds;
		if (sscanf(line, "gemm %31s %d %d %d %d %d", lib, &a, &b, &c, &d, &e) == 6) {
			w = gemm(lib, a, b, c, d, e);
			w.run();
			puts("ok");
		} else if (sscanf(line, "conv onednn %31s %d %d %d %d %d", what, &a, &b, &c, &d, &e) == 6) {
			w = conv(what, a, b, c, d, e);
			w.run();
			puts("ok");
		} else if (sscanf(line, "run %lf", &seconds) == 1 && w.run) {
			rate(w, 2 * seconds);
			printf("%.9g\n", rate(w, seconds));
		} else {
			printf("cannot read: %s", line);
		}
		fflush(stdout);
	}
}
